//! What opens a vault without its passphrase is told and waited for: by the device that asked, until the owner refuses it.

mod channels;
mod programs;
mod suspended;

use std::time::Duration;

use ocmt_crypto::{
    backup_key::BackupKey,
    datakey::VaultScope,
    kdf::Cost,
    object::keyring_id,
    slot::{NewSlot, SlotKind, SlotSecret},
    vault::{LockedVault, Rollback, RotationMode, UnlockedVault},
};
use ocmt_types::VaultId;

use super::{
    kit::{Kit, Person, until},
    vault::{PASSPHRASE, passphrase, proved, read, rotate, vault_of},
};
use crate::{
    ActorError,
    api::{
        auth::LinkPurpose,
        tenant::{GetTenant, TenantPolicy, UpdateTenantPolicy},
        vault::{
            AddKeySlot, GetKeySlots, GetVault, Handout, ListEntries, ListStagedObjects, RefuseSlotRequest,
            SlotRequest, VaultEventKind, WatchVault,
        },
    },
    tenant::TenantMessage,
};

const HOUR: Duration = Duration::from_secs(3600);
const DELAY: Duration = Duration::from_secs(24 * 3600);
const COLLECTABLE: Duration = Duration::from_secs(7 * 24 * 3600);
const MILLI: Duration = Duration::from_millis(1);
const PAUSE: Duration = Duration::from_secs(600);
const DEVICE: [u8; 32] = [1; 32];
const OTHER: [u8; 32] = [2; 32];

/// A vault with a backup key beside its passphrase.
pub(super) struct Paper {
    pub(super) kit: Kit,
    pub(super) ann: Person,
    open: UnlockedVault,
    key: BackupKey,
}

impl Paper {
    pub(super) async fn of(kit: Kit, delay: Duration) -> Self {
        let ann = kit.founder("ann@example.com").await;
        let mut open = vault_of(&kit, &ann).await;
        let key = BackupKey::generate(&mut rand::rng());
        let mut edit = open.edit();
        edit.add_slot(&NewSlot::Backup(&key, Cost::LEAST), &mut rand::rng()).unwrap();
        let change = edit.finish().unwrap();
        let add = AddKeySlot {
            vault: open.scope().vault,
            slot: change.added_slots[0].clone(),
            manifest: change.manifest.clone(),
        };
        kit.call(&ann.caller, add).await.unwrap();
        open.apply(change).unwrap();
        let paper = Self { kit, ann, open, key };
        if !delay.is_zero() {
            paper.policy(delay).await;
        }
        paper
    }

    pub(super) fn vault(&self) -> VaultId {
        self.open.scope().vault
    }

    async fn policy(&self, delay: Duration) {
        let info = self.kit.call(&self.ann.caller, GetTenant).await.unwrap();
        let backup_delay_ms = i64::try_from(delay.as_millis()).unwrap();
        let policy = TenantPolicy { backup_delay_ms, hardware_delay_ms: backup_delay_ms, ..info.policy };
        let ask = UpdateTenantPolicy { policy, version: info.version };
        self.kit.call(&self.ann.caller, ask).await.unwrap();
    }

    async fn ask(&self, kind: SlotKind, claim: [u8; 32]) -> Result<Handout, ActorError> {
        let ask = GetKeySlots { vault: Some(self.vault()), kind: Some(kind), claim: Some(claim) };
        self.kit.call(&self.ann.caller, ask).await
    }

    async fn backup(&self, claim: [u8; 32]) -> Result<Handout, ActorError> {
        self.ask(SlotKind::Backup, claim).await
    }

    async fn refused(&self, claim: [u8; 32]) -> String {
        self.backup(claim).await.unwrap_err().reason().to_owned()
    }

    async fn standing(&self) -> Option<SlotRequest> {
        self.kit.call(&self.ann.caller, GetVault { vault: None }).await.unwrap().request
    }

    async fn refuse(&self) -> Result<(), ActorError> {
        let request = self.standing().await.unwrap().id;
        let ask = RefuseSlotRequest { vault: Some(self.vault()), request: Some(request) };
        self.kit.call(&self.ann.caller, ask).await.map(drop)
    }

    /// Time passes, what is due by then happens, and the owner signs in again.
    async fn passes(&mut self, time: Duration) {
        self.kit.clock.advance(time);
        let due = TenantMessage::TimerDue;
        self.kit.system.env.to_root(crate::node::NodeMessage::ToTenant(self.ann.tenant, due));
        self.ann = self.kit.sign_in(&self.ann, LinkPurpose::SignIn).await;
    }

    async fn told(&self, kind: &str, times: usize) {
        until(kind, async || self.kit.mailbox.count_of(&self.ann.email, kind) == times).await;
    }

    async fn locked(&self, handout: &Handout) -> LockedVault {
        let vault = handout.vault;
        let page =
            self.kit.call(&self.ann.caller, ListEntries { vault, after: None, limit: 0 }).await.unwrap();
        let keyring = read(&self.kit, &self.ann, vault, keyring_id()).await.unwrap();
        let scope = VaultScope { tenant: self.ann.tenant, vault };
        let slots: Vec<Vec<u8>> = handout.slots.iter().map(|slot| slot.slot.clone()).collect();
        let leaves = page.entries.iter().map(|head| head.leaf).collect();
        LockedVault::parse(scope, &slots, &handout.successions, &handout.manifest, leaves, keyring).unwrap()
    }

    /// Opens it with the passphrase, as a client does.
    async fn by_passphrase(&self) -> (UnlockedVault, Handout) {
        let handout = self.ask(SlotKind::Passphrase, DEVICE).await.unwrap();
        let secret = passphrase(PASSPHRASE);
        let secret = SlotSecret::Passphrase(&secret);
        (self.locked(&handout).await.open(&secret, None, Rollback::Refuse).unwrap(), handout)
    }

    async fn opens_with_the_key(&self, handout: &Handout) -> bool {
        let opened = self.locked(handout).await.open(&SlotSecret::Backup(&self.key), None, Rollback::Refuse);
        match &opened {
            Ok(open) => self.kit.call(&self.ann.caller, proved(open, handout, None)).await.is_ok(),
            Err(_) => false,
        }
    }
}

const fn is_kept_back(kind: u8) -> bool {
    kind == SlotKind::Backup as u8 || kind == SlotKind::Hardware as u8
}

fn shows_backup(handout: &Handout) -> bool {
    handout.slots.iter().any(|slot| is_kept_back(slot.kind))
}

#[tokio::test]
async fn without_a_delay_a_backup_key_opens_at_once_and_its_owner_hears_of_it() {
    for kit in [Kit::sim().await, Kit::sqlite().await] {
        let paper = Paper::of(kit, Duration::ZERO).await;
        let handout = paper.backup(DEVICE).await.unwrap();
        assert!(paper.opens_with_the_key(&handout).await);
        paper.told("slots.handed_out", 1).await;
        // the same device, again: the owner has heard
        assert!(paper.backup(DEVICE).await.is_ok());
        let all = GetKeySlots { vault: None, kind: None, claim: None };
        paper.kit.clock.advance(HOUR / 60);
        assert!(
            shows_backup(&paper.kit.call(&paper.ann.caller, all).await.unwrap()),
            "who asks for all is told of"
        );
        paper.told("slots.handed_out", 2).await;
        assert_eq!(paper.kit.mailbox.count_of(&paper.ann.email, "slots.asked"), 0);
    }
}

#[tokio::test]
async fn a_passphrase_opens_without_the_other_slots_and_they_come_with_the_proof() {
    let paper = Paper::of(Kit::sqlite().await, DELAY).await;
    let (mut open, handout) = paper.by_passphrase().await;
    assert!(!shows_backup(&handout) && open.is_partial());
    let forged = crate::api::vault::ReportUnlock {
        proof: ocmt_crypto::sign::Signature([7; 64]),
        ..proved(&open, &handout, None)
    };
    assert!(paper.kit.call(&paper.ann.caller, forged).await.is_err());
    // a wrong proof uses the hand-out up or not; the next is waited for as ever
    paper.kit.clock.advance(Duration::from_secs(2));
    let (_, handout) = paper.by_passphrase().await;
    let reported = paper.kit.call(&paper.ann.caller, proved(&open, &handout, None)).await.unwrap();
    let shown: Vec<_> = reported.slots.into_iter().map(|slot| slot.slot).collect();
    open.adopt_withheld(&shown).unwrap();
    assert!(!open.is_partial());
    assert!(paper.standing().await.is_none(), "nobody asked for the key");
}

async fn slots_are_waited_for(kit: Kit) {
    let mut paper = Paper::of(kit, DELAY).await;
    let meta = paper.kit.meta();
    let watch = WatchVault { vault: paper.vault(), from: None };
    let mut events = paper.kit.system.watch_vault(paper.ann.caller.clone(), meta, watch).await.unwrap();
    assert_eq!(events.recv().await.unwrap().unwrap().kind, VaultEventKind::Begun);
    assert_eq!(paper.refused(DEVICE).await, "WAY_WAITS");
    paper.told("slots.asked", 1).await;
    let event =
        tokio::time::timeout(Duration::from_secs(20), events.recv()).await.expect("who watches hears of it");
    assert_eq!(event.unwrap().unwrap().kind, VaultEventKind::SlotsChanged);
    // asking again is the same request; another device waits for it to end; all at once is no way round
    let first = paper.standing().await.unwrap();
    paper.passes(DELAY - MILLI).await;
    assert_eq!(paper.refused(DEVICE).await, "WAY_WAITS");
    assert_eq!(paper.refused(OTHER).await, "WAY_ASKED_FOR");
    let all = GetKeySlots { vault: None, kind: None, claim: None };
    assert_eq!(paper.kit.call(&paper.ann.caller, all).await.unwrap_err().reason(), "WAY_ASKED_FOR");
    assert_eq!(paper.standing().await.unwrap(), first);
    // over a restart, to the millisecond, in a session that the first one has not lived to see
    // the life before is over: it would take the tenant back for what comes due
    paper.kit.system.root.kill();
    let after = paper.kit.another_tree().await;
    let asks = async || {
        let ask = GetKeySlots { vault: None, kind: Some(SlotKind::Backup), claim: Some(DEVICE) };
        after.tenant(paper.ann.tenant).call(paper.ann.caller.clone(), paper.kit.meta(), ask).await
    };
    assert_eq!(asks().await.unwrap_err().reason(), "WAY_WAITS");
    paper.kit.clock.advance(MILLI);
    let handout = asks().await.unwrap();
    let opened =
        paper.locked_at(&after, &handout).await.open(&SlotSecret::Backup(&paper.key), None, Rollback::Refuse);
    assert!(opened.is_ok());
    paper.told("slots.handed_out", 1).await;
}

impl Paper {
    /// The one device that waits is refused, and no other asks without waiting before the delay of before is over.
    async fn counts_once_the_delay_has_passed(&mut self) {
        self.refuse().await.unwrap();
        self.passes(DELAY - MILLI).await;
        assert_eq!(self.refused(OTHER).await, "WAY_WAITS");
        self.refuse().await.unwrap();
        self.passes(PAUSE).await;
        assert!(self.backup([3; 32]).await.is_ok());
    }

    async fn locked_at(&self, system: &crate::System, handout: &Handout) -> LockedVault {
        let vault = handout.vault;
        let tenant = system.tenant(self.ann.tenant);
        let (caller, meta) = (self.ann.caller.clone(), self.kit.meta());
        let page = tenant.call(caller, meta, ListEntries { vault, after: None, limit: 0 }).await.unwrap();
        let get = crate::api::vault::GetEntry { vault, object: keyring_id(), version: 0 };
        let keyring =
            tenant.call(self.ann.caller.clone(), self.kit.meta(), get).await.unwrap().objects.remove(0);
        let scope = VaultScope { tenant: self.ann.tenant, vault };
        let slots: Vec<Vec<u8>> = handout.slots.iter().map(|slot| slot.slot.clone()).collect();
        let leaves = page.entries.iter().map(|head| head.leaf).collect();
        LockedVault::parse(scope, &slots, &handout.successions, &handout.manifest, leaves, keyring).unwrap()
    }
}

#[tokio::test]
async fn slots_are_waited_for_over_a_restart_by_the_device_that_asked_on_sim() {
    slots_are_waited_for(Kit::sim().await).await;
}

#[tokio::test]
async fn slots_are_waited_for_over_a_restart_by_the_device_that_asked_on_sqlite() {
    slots_are_waited_for(Kit::sqlite().await).await;
}

#[tokio::test]
async fn the_owner_refuses_it_and_nothing_is_handed_out_for_it() {
    let mut paper = Paper::of(Kit::sqlite().await, DELAY).await;
    assert_eq!(paper.refused(DEVICE).await, "WAY_WAITS");
    paper.passes(DELAY / 2).await;
    paper.refuse().await.unwrap();
    paper.refuse().await.unwrap();
    paper.told("slots.refused", 1).await;
    assert!(paper.standing().await.unwrap().refused);
    let first = paper.standing().await.unwrap();
    assert_eq!(paper.refused(OTHER).await, "REFUSED_JUST_NOW");
    assert_eq!(paper.refused(DEVICE).await, "WAY_REFUSED");
    paper.passes(PAUSE - MILLI).await;
    assert_eq!(paper.refused(DEVICE).await, "WAY_REFUSED");
    // another request, with all that belongs to it: what the first has waited for counts for nothing
    paper.passes(MILLI).await;
    assert_eq!(paper.refused(DEVICE).await, "WAY_WAITS");
    paper.told("slots.asked", 2).await;
    let second = paper.standing().await.unwrap();
    assert_ne!(second.id, first.id);
    assert_eq!(second.ready_at.since(second.asked_at), DELAY);
    paper.passes(DELAY / 2).await;
    assert_eq!(paper.refused(DEVICE).await, "WAY_WAITS", "the first one would be ready by now");
    assert_eq!(paper.kit.mailbox.count_of(&paper.ann.email, "slots.ready"), 0);
    paper.refuse().await.unwrap();
    paper.passes(PAUSE).await;
    assert_eq!(paper.refused(OTHER).await, "WAY_WAITS", "a refusal holds nobody up for long");
}

#[tokio::test]
async fn refusing_needs_a_full_session_that_has_just_shown_who_it_is_and_the_very_request() {
    let mut paper = Paper::of(Kit::sim().await, DELAY).await;
    assert_eq!(paper.refused(DEVICE).await, "WAY_WAITS");
    let request = paper.standing().await.unwrap().id;
    let ask = RefuseSlotRequest { vault: Some(paper.vault()), request: Some(request) };
    let eve = paper.kit.founder("eve@example.com").await;
    let recovering = paper.kit.sign_in(&paper.ann, LinkPurpose::Recovery).await;
    assert_eq!(paper.kit.call(&eve.caller, ask.clone()).await.unwrap_err().reason(), "NOT_FOUND");
    assert_eq!(
        paper.kit.call(&recovering.caller, ask.clone()).await.unwrap_err().reason(),
        "PERMISSION_DENIED"
    );
    let other = RefuseSlotRequest { request: Some(eve_request()), ..ask.clone() };
    assert_eq!(paper.kit.call(&paper.ann.caller, other).await.unwrap_err().reason(), "NOT_FOUND");
    paper.kit.clock.advance(Duration::from_secs(301));
    assert_eq!(
        paper.kit.call(&paper.ann.caller, ask.clone()).await.unwrap_err().reason(),
        "STEP_UP_REQUIRED"
    );
    paper.passes(Duration::ZERO).await;
    // the one there is, without a look before
    paper.kit.call(&paper.ann.caller, RefuseSlotRequest { vault: None, request: None }).await.unwrap();
    assert!(paper.standing().await.unwrap().refused);
}

fn eve_request() -> ocmt_types::HandoutId {
    let ids: &dyn ocmt_types::IdGen = &ocmt_types::RandomIds;
    ids.id()
}

#[tokio::test]
async fn what_is_ready_is_told_and_what_nobody_collects_lapses() {
    let mut paper = Paper::of(Kit::sqlite().await, DELAY).await;
    assert_eq!(paper.refused(DEVICE).await, "WAY_WAITS");
    paper.passes(DELAY).await;
    paper.told("slots.ready", 1).await;
    paper.passes(COLLECTABLE).await;
    paper.told("slots.lapsed", 1).await;
    assert!(paper.standing().await.is_none());
    assert_eq!(paper.refused(DEVICE).await, "WAY_WAITS", "too late: it is asked for anew");
}

#[tokio::test]
async fn a_shorter_delay_counts_once_the_one_before_has_passed() {
    let mut paper = Paper::of(Kit::sqlite().await, DELAY).await;
    paper.passes(Duration::ZERO).await;
    // whoever has the account of the owner says that nothing is waited for
    paper.policy(Duration::ZERO).await;
    paper.told("slots.delay_lowered", 2).await;
    assert_eq!(paper.refused(DEVICE).await, "WAY_WAITS");
    let waits = paper.standing().await.unwrap();
    assert_eq!(waits.ready_at.since(waits.asked_at), DELAY);
    paper.counts_once_the_delay_has_passed().await;
}

#[tokio::test]
async fn an_unfinished_rotation_shows_its_slots_to_who_has_proved_an_unlock_alone() {
    let mut paper = Paper::of(Kit::sim().await, DELAY).await;
    let (kit, ann) = (&paper.kit, &paper.ann);
    assert!(rotate(kit, ann, &mut paper.open, RotationMode::Rekey, false).await.is_err());
    let list = ListStagedObjects { vault: paper.open.scope().vault, after: None, limit: 0 };
    let page = paper.kit.call(&paper.ann.caller, list.clone()).await.unwrap();
    assert!(page.rotation.slots.is_empty(), "they hold what the backup key opens");
    let (open, handout) = paper.by_passphrase().await;
    paper.kit.call(&paper.ann.caller, proved(&open, &handout, None)).await.unwrap();
    let page = paper.kit.call(&paper.ann.caller, list.clone()).await.unwrap();
    assert_eq!(page.rotation.slots.len(), 2);
    paper.passes(HOUR).await;
    let page = paper.kit.call(&paper.ann.caller, list).await.unwrap();
    assert!(page.rotation.slots.is_empty(), "another session");
}

#[tokio::test]
async fn asking_counts_as_no_hand_out_and_a_hand_out_as_one() {
    let mut paper = Paper::of(Kit::sim().await, DELAY).await;
    for _ in 0..5 {
        assert_eq!(paper.refused(DEVICE).await, "WAY_WAITS");
    }
    assert!(paper.ask(SlotKind::Passphrase, DEVICE).await.is_ok(), "the owner has not waited for them");
    paper.passes(DELAY).await;
    assert!(paper.backup(DEVICE).await.is_ok());
    let error = paper.backup(DEVICE).await.unwrap_err();
    assert_eq!(error.reason(), "TOO_MANY_UNLOCKS");
}
