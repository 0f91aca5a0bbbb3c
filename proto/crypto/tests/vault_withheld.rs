//! Slots that a node keeps back until an unlock is proved: the vault opens without them, nothing is changed without them, and no
//! other slot comes in their place.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use ocmt_crypto::{
    CryptoError,
    backup_key::BackupKey,
    kdf::{Cost, Passphrase},
    slot::{KeySlot, NewSlot, RecoveryKey, SlotKind, SlotSecret},
    vault::{self, Rollback, RotationMode, UnlockedVault},
};
use support::{Database, refused, scope};
use zeroize::Zeroizing;

struct Made {
    whole: Database,
    vault: UnlockedVault,
    recovery: RecoveryKey,
    backup: BackupKey,
}

fn made() -> Made {
    let rng = &mut rand::rng();
    let (passphrase, answer) =
        (Passphrase::new("violin ledger umbrella quartz").unwrap(), Zeroizing::new(vec![5; 20]));
    let (backup, recovery) = (BackupKey::generate(rng), RecoveryKey::generate(rng));
    let slots = [
        NewSlot::Passphrase(&passphrase, Cost::LEAST),
        NewSlot::Backup(&backup, Cost::LEAST),
        NewSlot::Hardware([9; 32], &answer, Cost::LEAST),
        NewSlot::Recovery(&recovery),
    ];
    let (vault, upload) = vault::create(scope(), &slots, rng).unwrap();
    Made { whole: Database::of(scope(), upload), vault, recovery, backup }
}

impl Made {
    /// The database as a node shows it that keeps slots of these kinds back.
    fn without(&self, kinds: &[SlotKind]) -> Database {
        let mut shown = self.whole.clone();
        shown.slots.retain(|slot| !kinds.contains(&KeySlot::from_bytes(slot).unwrap().kind()));
        shown
    }
}

const BOTH: [SlotKind; 2] = [SlotKind::Backup, SlotKind::Hardware];

#[test]
fn a_vault_opens_without_the_slots_that_are_kept_back_and_takes_them_in_after_the_proof() {
    let made = made();
    for kinds in [&BOTH[..], &BOTH[..1], &BOTH[1..]] {
        let mut open = made.without(kinds).open(&made.recovery).unwrap();
        assert!(open.is_partial());
        assert_eq!(open.slots().len(), 4 - kinds.len());
        // more than was kept back is shown: the rest is known already
        open.adopt_withheld(&made.whole.slots).unwrap();
        assert!(!open.is_partial());
        assert_eq!(open.slots(), made.vault.slots());
        let mut edit = open.edit();
        edit.add_slot(&NewSlot::Recovery(&RecoveryKey::generate(&mut rand::rng())), &mut rand::rng())
            .unwrap();
        assert!(edit.finish().is_ok());
    }
    let mut open = made.whole.open(&made.recovery).unwrap();
    assert!(!open.is_partial());
    open.adopt_withheld::<Vec<u8>>(&[]).unwrap();
}

#[test]
fn nothing_is_changed_before_they_are_there() {
    let made = made();
    let open = made.without(&BOTH).open(&made.recovery).unwrap();
    assert_eq!(refused(open.edit().finish()), CryptoError::Refused);
    let begun = open.begin_rotation(RotationMode::Rekey, &[], &[], &mut rand::rng());
    assert_eq!(refused(begun), CryptoError::Refused, "a rotation would leave them behind");
}

#[test]
fn no_other_kind_is_left_out_and_no_other_slot_comes_in() {
    let made = made();
    for kind in [SlotKind::Passphrase, SlotKind::Recovery] {
        let shown = made.without(&[kind]).show().unwrap();
        let secret = SlotSecret::Backup(&made.backup);
        assert_eq!(refused(shown.open(&secret, None, Rollback::Refuse)), CryptoError::Refused, "{kind:?}");
    }
    let of = |kind| {
        let slots = made.whole.slots.iter();
        slots.into_iter().find(|slot| KeySlot::from_bytes(slot).unwrap().kind() == kind).unwrap().clone()
    };
    let (backup, hardware) = (of(SlotKind::Backup), of(SlotKind::Hardware));
    let mut forged = backup.clone();
    *forged.last_mut().unwrap() ^= 1;
    let other = made_anew_backup();
    for shown in [
        vec![],
        vec![backup.clone()],
        vec![backup.clone(), backup.clone()],
        vec![forged, hardware.clone()],
        vec![other, hardware.clone()],
    ] {
        let mut open = made.without(&BOTH).open(&made.recovery).unwrap();
        assert_eq!(open.adopt_withheld(&shown).unwrap_err(), CryptoError::Refused);
        assert!(open.is_partial(), "half of it is nothing");
        // and the true ones still do
        open.adopt_withheld(&[hardware.clone(), backup.clone()]).unwrap();
    }
}

/// A backup slot of another vault under the same names.
fn made_anew_backup() -> Vec<u8> {
    let made = made();
    let slots = made.whole.slots.into_iter();
    slots.into_iter().find(|slot| KeySlot::from_bytes(slot).unwrap().kind() == SlotKind::Backup).unwrap()
}
