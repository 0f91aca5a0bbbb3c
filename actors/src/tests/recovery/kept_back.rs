//! A recovery session opens the vault by its ceremony, and is shown no other way in.

use ocmt_crypto::{
    backup_key::BackupKey,
    kdf::Cost,
    slot::{NewSlot, SlotKind},
};

use super::circle::{Circle, pass_delay, short};
use crate::{
    api::{
        recovery::CeremonyState,
        vault::{AddKeySlot, GetKeySlots},
    },
    tests::kit::Kit,
};

impl Circle {
    /// The owner's vault opens by a backup key and a hardware token too.
    async fn other_ways(&mut self) {
        let key = BackupKey::generate(&mut self.rng);
        let answer = zeroize::Zeroizing::new(vec![7_u8; 20]);
        for new in [NewSlot::Backup(&key, Cost::LEAST), NewSlot::Hardware([8; 32], &answer, Cost::LEAST)] {
            let mut edit = self.vault.edit();
            edit.add_slot(&new, &mut self.rng).unwrap();
            let change = edit.finish().unwrap();
            let add = AddKeySlot {
                vault: self.vault.scope().vault,
                slot: change.added_slots[0].clone(),
                manifest: change.manifest.clone(),
            };
            self.kit.call(&self.owner.caller, add).await.unwrap();
            self.vault.apply(change).unwrap();
        }
    }
}

#[tokio::test]
async fn a_recovery_session_is_handed_no_slot_of_a_backup_key_and_none_of_a_hardware_token() {
    let mut circle = Circle::dealt(Kit::sim_with(short).await, 2, &[1, 1]).await;
    circle.other_ways().await;
    let requester = circle.opened().await;
    let id = requester.id();
    for n in 0..2 {
        circle.approve(n, id).await.unwrap();
    }
    circle.reaches(&requester.person, id, CeremonyState::Ready).await;
    pass_delay(&circle);
    circle.reaches(&requester.person, id, CeremonyState::Released).await;
    // the policy has no delay: whoever else asks gets them at once
    for kind in [None, Some(SlotKind::Backup), Some(SlotKind::Hardware)] {
        let ask = GetKeySlots { vault: Some(circle.vault_id()), kind, claim: Some([1; 32]) };
        let handout = circle.kit.call(&requester.person.caller, ask).await.unwrap();
        let mut kinds: Vec<u8> = handout.slots.iter().map(|slot| slot.kind).collect();
        kinds.sort_unstable();
        let mut own = [SlotKind::Recovery, SlotKind::Member].map(|kind| kind as u8);
        own.sort_unstable();
        assert_eq!(kinds, own, "{kind:?}");
    }
    assert_eq!(circle.kit.mailbox.count_of(&circle.owner.email, "slots.handed_out"), 0);
}
