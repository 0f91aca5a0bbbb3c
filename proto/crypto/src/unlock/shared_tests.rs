//! What a taker's write is worth: the ledger against nodes, takers and time.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use ocmt_types::{Digest32, Id as _, ShareId, TenantId, Timestamp, VaultId};
use rand::{SeedableRng as _, rngs::StdRng};
use zeroize::Zeroizing;

use super::{Granted, Ledger, MAX_RIGHTS, SharedVerdict, WriteRight};
use crate::{
    CryptoError,
    datakey::{ObjectPlace, VaultScope},
    entry::EntryName,
    keyring::Keyring,
    object::MAX_PLAINTEXT,
    shared::{Acts, Basis, MAX_SEQUENCE, SharedAct, SharedPlace, SharedWrite},
    sign::SigningKey,
};

const NOW: Timestamp = Timestamp(1_000);
const WRITE: Acts = Acts { write: true, delete: false };

struct Side {
    keyring: Keyring,
    taker: Keyring,
    ledger: Ledger,
}

fn scope() -> VaultScope {
    VaultScope { tenant: TenantId::from_bytes([1; 16]), vault: VaultId::from_bytes([2; 16]) }
}

fn share(n: u8) -> ShareId {
    ShareId::from_bytes([n; 16])
}

/// Version `version` of the entry `object`.
fn basis(object: u8, version: u64) -> Basis {
    let body = u8::try_from(version).unwrap_or(0);
    let place = ObjectPlace { scope: scope(), object: Digest32([object; 32]), version };
    Basis { place, body_hash: Digest32([body; 32]) }
}

fn place(n: u8, object: u8, version: u64, sequence: u64) -> SharedPlace {
    SharedPlace { share: share(n), basis: basis(object, version), sequence }
}

impl Side {
    /// Twenty unlocks, each of as many and as long names as there may be.
    fn unlocks_with_long_names(&mut self) {
        let long: Vec<EntryName> = (0..32).map(|n| EntryName::new(&format!("{n:0>255}")).unwrap()).collect();
        for n in 0..20 {
            let (unlock, container) =
                (ocmt_types::UnlockId::from_bytes([n; 16]), ocmt_types::ContainerId::from_bytes([9; 16]));
            let inbox = self.keyring.inbox.public();
            self.ledger.grant(Granted::new(unlock, container, inbox, NOW, long.clone())).unwrap();
        }
    }

    /// Share 3 may write entry 7.
    fn new() -> Self {
        let rng = &mut StdRng::seed_from_u64(11);
        let (keyring, taker) = (Keyring::generate(rng), Keyring::generate(rng));
        let mut side = Self { keyring, taker, ledger: Ledger::default() };
        side.give(3, 7, WRITE, None).unwrap();
        side
    }

    fn right(&self, n: u8, object: u8, acts: Acts, expires_at: Option<Timestamp>) -> WriteRight {
        let keys = (self.taker.identity_signing.verify_key(), self.taker.identity_seal.public());
        let of = (share(n), Digest32([object; 32]));
        WriteRight::new(of, acts, keys, self.keyring.inbox.public(), Timestamp(5), expires_at)
    }

    fn give(
        &mut self,
        n: u8,
        object: u8,
        acts: Acts,
        expires_at: Option<Timestamp>,
    ) -> Result<(), CryptoError> {
        let right = self.right(n, object, acts, expires_at);
        self.ledger.give(right)
    }

    fn sent(&self, place: &SharedPlace, by: &SigningKey) -> Vec<u8> {
        let act = SharedAct::Put(Zeroizing::new(b"new".to_vec()));
        SharedWrite::seal(place, &act, &self.keyring.inbox.public(), by, &mut rand::rng()).unwrap()
    }

    fn put(&self, place: &SharedPlace) -> Vec<u8> {
        self.sent(place, &self.taker.identity_signing)
    }

    /// With version 1 of every entry as the present one.
    fn verdict(&self, sealed: &[u8]) -> &'static str {
        self.verdict_at(NOW, 1, sealed)
    }

    fn verdict_at(&self, now: Timestamp, version: u64, sealed: &[u8]) -> &'static str {
        let present = |object: Digest32| Some(basis(object.0[0], version));
        named(&self.ledger.judge_shared(&scope(), &self.keyring, now, present, sealed))
    }
}

fn named(verdict: &SharedVerdict) -> &'static str {
    match verdict {
        SharedVerdict::Fileable(..) => "fileable",
        SharedVerdict::Stale(_) => "stale",
        SharedVerdict::Done(_) => "done",
        SharedVerdict::NotAllowed(_) => "not allowed",
        SharedVerdict::Over(_) => "over",
        SharedVerdict::Lost(_) => "lost",
        SharedVerdict::Forged => "forged",
    }
}

#[test]
fn only_what_the_taker_of_the_share_sent_for_its_entry_is_fileable() {
    let mut side = Side::new();
    side.give(4, 8, WRITE, None).unwrap();
    assert_eq!(side.verdict(&side.put(&place(3, 7, 1, 0))), "fileable");
    // somebody else's key, in the name of the taker
    let stranger = SigningKey::generate(&mut rand::rng());
    assert_eq!(side.verdict(&side.sent(&place(3, 7, 1, 0), &stranger)), "forged");
    // the entry of another share, an entry of none, a share that was never given
    for elsewhere in [place(3, 8, 1, 0), place(4, 7, 1, 0), place(3, 9, 1, 0), place(5, 7, 1, 0)] {
        assert_eq!(side.verdict(&side.put(&elsewhere)), "forged");
    }
    // another vault's, another tenant's, with the same ids
    for scope in [
        VaultScope { vault: VaultId::from_bytes([9; 16]), ..scope() },
        VaultScope { tenant: TenantId::from_bytes([9; 16]), ..scope() },
    ] {
        let mut there = place(3, 7, 1, 0);
        there.basis.place.scope = scope;
        assert_eq!(side.verdict(&side.put(&there)), "forged");
    }
    // sealed to an inbox that a node made up
    let act = SharedAct::Put(Zeroizing::new(b"new".to_vec()));
    let made_up = side.taker.inbox.public();
    let by = &side.taker.identity_signing;
    let bent = SharedWrite::seal(&place(3, 7, 1, 0), &act, &made_up, by, &mut rand::rng()).unwrap();
    assert_eq!(side.verdict(&bent), "forged");
}

#[test]
fn nothing_is_filed_twice_nor_in_another_order_nor_over_a_version_that_its_taker_did_not_see() {
    let mut side = Side::new();
    let (first, second) = (side.put(&place(3, 7, 1, 0)), side.put(&place(3, 7, 1, 1)));
    assert_eq!((side.verdict(&first), side.verdict(&second)), ("fileable", "fileable"));
    side.ledger.shared_done(&place(3, 7, 1, 1));
    assert_eq!((side.verdict(&first), side.verdict(&second)), ("done", "done"), "replayed, and held back");
    let again = Ledger::decode(&side.ledger.encode()).unwrap();
    side.ledger = again;
    assert_eq!((side.verdict(&first), side.verdict(&second)), ("done", "done"));
    let third = side.put(&place(3, 7, 1, 2));
    assert_eq!(side.verdict(&third), "fileable");
    assert_eq!(side.verdict_at(NOW, 2, &third), "stale", "written by somebody else since");
    // deleted, and written again as version 1 with other content
    let anew = Basis { body_hash: Digest32([99; 32]), ..basis(7, 1) };
    for present in [None, Some(anew)] {
        let verdict = side.ledger.judge_shared(&scope(), &side.keyring, NOW, |_| present, &third);
        assert_eq!(named(&verdict), "stale");
    }
}

#[test]
fn a_share_writes_until_its_time_is_over_or_it_is_taken_back() {
    let mut side = Side::new();
    side.give(4, 7, WRITE, Some(NOW)).unwrap();
    let sent = side.put(&place(4, 7, 1, 0));
    assert_eq!(side.verdict_at(Timestamp(NOW.0 - 1), 1, &sent), "fileable");
    assert_eq!(side.verdict_at(NOW, 1, &sent), "over");
    let lasting = side.put(&place(3, 7, 1, 0));
    assert!(side.ledger.keep_rights(|right| right.share != share(3)));
    assert_eq!(side.verdict(&lasting), "forged");
    assert!(!side.ledger.keep_rights(|right| right.share != share(3)));
    // a re-keying ends it, whatever a node shows
    let mut side = Side::new();
    let before = side.put(&place(3, 7, 1, 0));
    let rng = &mut rand::rng();
    side.keyring = side.keyring.rekeyed(SigningKey::generate(rng), rng);
    assert_eq!(side.verdict(&before), "lost");
}

#[test]
fn what_a_program_was_approved_to_write_is_good_once_and_for_that_version_alone() {
    let approved = |side: &mut Side| {
        let right = side.right(4, 8, WRITE, Some(NOW + Duration::from_secs(60))).once(&basis(8, 1));
        side.ledger.give(right).unwrap();
        side.ledger = Ledger::decode(&side.ledger.encode()).unwrap();
    };
    let mut side = Side::new();
    approved(&mut side);
    let (first, newer) = (side.put(&place(4, 8, 1, 0)), side.put(&place(4, 8, 1, 1)));
    assert_eq!((side.verdict(&first), side.verdict(&newer)), ("fileable", "fileable"));
    // the agent's key signs for the version that came since, and a node shows it: by the owner, or by filing
    let second = side.put(&place(4, 8, 2, 2));
    assert_eq!(side.verdict_at(NOW, 2, &second), "stale", "the owner wrote it meanwhile");
    side.ledger.shared_done(&place(4, 8, 1, 0));
    assert_eq!((side.verdict_at(NOW, 2, &second), side.verdict(&newer)), ("forged", "forged"), "used up");
    assert_eq!(side.ledger.rights().len(), 1);
    // a person's goes on
    side.ledger.shared_done(&place(3, 7, 1, 0));
    assert_eq!(side.verdict_at(NOW, 2, &side.put(&place(3, 7, 2, 1))), "fileable");
    // it is known by the program's key, as nothing else is
    approved(&mut side);
    let (key, other) = (side.taker.identity_seal.public(), side.keyring.identity_seal.public());
    let of = |key| side.ledger.rights().iter().map(|right| right.is_of_program(key)).collect::<Vec<_>>();
    assert_eq!((of(&key), of(&other)), (vec![false, true], vec![false, false]));
    assert_eq!(side.ledger.encode()[5], 2, "of the version of the format that was there");
    // and its end comes nearer, not the other way
    assert!(side.ledger.end_right(share(4), NOW) && !side.ledger.end_right(share(4), NOW));
    assert_eq!(side.verdict(&first), "over");
}

#[test]
fn each_act_is_itself_alone() {
    let delete = Acts { write: false, delete: true };
    for (acts, put, end) in [
        (WRITE, "fileable", "not allowed"),
        (delete, "not allowed", "fileable"),
        (Acts { write: true, delete: true }, "fileable", "fileable"),
    ] {
        let mut side = Side::new();
        side.give(4, 8, acts, None).unwrap();
        let (at, by) = (place(4, 8, 1, 0), &side.taker.identity_signing);
        let inbox = side.keyring.inbox.public();
        let wish = SharedWrite::seal(&at, &SharedAct::Delete, &inbox, by, &mut rand::rng()).unwrap();
        assert_eq!((side.verdict(&side.put(&at)), side.verdict(&wish)), (put, end), "{acts:?}");
    }
}

#[test]
fn rights_are_bounded_each_there_once_and_never_forgotten_for_unlocks() {
    let mut side = Side::new();
    assert!(matches!(side.give(3, 7, WRITE, None), Err(CryptoError::Exists(_))));
    for n in 1..u8::try_from(MAX_RIGHTS).unwrap() {
        side.give(100, n + 100, WRITE, Some(NOW)).unwrap();
    }
    assert!(matches!(side.give(9, 9, WRITE, None), Err(CryptoError::TooLarge { .. })));
    side.ledger.shared_done(&place(3, 7, 1, u64::MAX));
    assert_eq!(side.verdict(&side.put(&place(3, 7, 1, MAX_SEQUENCE - 1))), "done");
    side.unlocks_with_long_names();
    let bytes = side.ledger.encode();
    assert!(bytes.len() <= MAX_PLAINTEXT);
    let again = Ledger::decode(&bytes).unwrap();
    assert_eq!((again.rights(), again.rights().len()), (side.ledger.rights(), MAX_RIGHTS));
    for len in (0..bytes.len()).step_by(89) {
        assert!(Ledger::decode(&bytes[..len]).is_err());
    }
}

#[test]
fn rights_that_push_unlocks_out_say_which() {
    let mut side = Side::new();
    side.ledger.keep_rights(|_| false);
    side.unlocks_with_long_names();
    let before: Vec<_> = side.ledger.granted().iter().map(|granted| granted.unlock).collect();
    assert!(side.ledger.trim().is_empty());
    for n in 0..u8::try_from(MAX_RIGHTS).unwrap() {
        side.give(100, n, WRITE, None).unwrap();
    }
    let forgotten = side.ledger.trim();
    let left: Vec<_> = side.ledger.granted().iter().map(|granted| granted.unlock).collect();
    assert!(!forgotten.is_empty() && side.ledger.encode().len() <= MAX_PLAINTEXT);
    assert_eq!([forgotten, left].concat(), before, "the oldest");
}

#[test]
fn a_ledger_without_shares_is_what_it_was_and_one_with_them_is_of_another_version() {
    let mut side = Side::new();
    let with = side.ledger.encode();
    assert_eq!(with[5], 2);
    // a client that does not know of shares refuses it, and so does not write it without them
    let named_one = [&with[..5], &[1], &with[6..]].concat();
    assert!(Ledger::decode(&named_one).is_err());
    side.ledger.keep_rights(|_| false);
    let without = side.ledger.encode();
    assert_eq!(without[5], 1);
    let named_two = [&without[..5], &[2], &without[6..], &[0; 4]].concat();
    assert!(Ledger::decode(&named_two).is_err(), "one ledger has one encoding");
}

#[test]
fn what_a_share_is_for_reading_too_is_said_by_the_ledger_alone() {
    let mut side = Side::new();
    assert!(side.ledger.rights().iter().all(|right| !right.reads));
    let before = side.ledger.encode();
    assert!(!Ledger::decode(&before).unwrap().rights()[0].reads, "of the version that does not say it");
    let reads = side.right(4, 8, WRITE, Some(NOW)).reading(true);
    side.ledger.give(reads).unwrap();
    let with = side.ledger.encode();
    assert_eq!((before[5], with[5]), (2, 3));
    let again = Ledger::decode(&with).unwrap();
    assert_eq!(again.rights(), side.ledger.rights());
    assert_eq!(again.rights().iter().map(|right| right.reads).collect::<Vec<_>>(), [false, true]);
    // one encoding of one ledger
    let named_three = [&before[..5], &[3], &before[6..]].concat();
    assert!(Ledger::decode(&named_three).is_err());
    assert!(Ledger::decode(&[&with[..5], &[2], &with[6..]].concat()).is_err());
    // nor is one with readers that has none
    let of_reader = side.ledger.rights()[1].object.0;
    let at = with.windows(32).rposition(|part| part == of_reader).unwrap() + 33;
    let mut none = with.to_vec();
    assert_eq!(std::mem::replace(&mut none[at], 0), 1);
    assert!(Ledger::decode(&none).is_err());
    side.ledger.keep_rights(|right| !right.reads);
    assert_eq!(side.ledger.encode(), before);
}

#[test]
fn a_right_holds_until_its_time_is_over_or_the_vault_is_re_keyed() {
    let mut side = Side::new();
    let right = side.right(4, 8, WRITE, Some(NOW));
    assert!(right.holds(&side.keyring, Timestamp(NOW.0 - 1)));
    assert!(!right.holds(&side.keyring, NOW));
    let rng = &mut rand::rng();
    side.keyring = side.keyring.rekeyed(SigningKey::generate(rng), rng);
    assert!(!right.holds(&side.keyring, Timestamp(NOW.0 - 1)));
}
