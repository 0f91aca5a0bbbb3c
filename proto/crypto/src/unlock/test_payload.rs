//! A payload with everything in it, for the tests.

use ocmt_types::{ConversationId, Digest32, Id as _, UnlockId, VaultId};

use crate::{datakey::DataKey, seal::SealPublicKey};

use super::{ConversationKey, MappedEntry, UnlockKey, UnlockPayload};

/// A payload for the unlock whose id is made of `unlock`.
pub(crate) fn payload(unlock: u8) -> UnlockPayload {
    UnlockPayload {
        unlock: UnlockId::from_bytes([unlock; 16]),
        vault: VaultId::from_bytes([0x21; 16]),
        entries: vec![entry("API_KEY"), entry("_token2")],
        conversations: vec![ConversationKey {
            conversation: ConversationId::from_bytes([0x22; 16]),
            key_epoch: 3,
            key: DataKey::from_bytes([0x23; 32]),
        }],
        volume_key: Some(DataKey::from_bytes([0x24; 32])),
        inbox: SealPublicKey([0x25; 32]),
        unlock_key: UnlockKey::from_bytes([0x26; 32]),
        channel_key: SealPublicKey([0x27; 32]),
        manifest_counter: 5,
        manifest_root: Digest32([0x28; 32]),
        lease_ms: 60_000,
        start_workload: true,
        may_write: Vec::new(),
        continued: Vec::new(),
        volume: None,
    }
}

/// An entry mapped to `name`.
pub(crate) fn entry(name: &str) -> MappedEntry {
    MappedEntry {
        name: name.to_owned(),
        object: Digest32([0x31; 32]),
        version: 4,
        data_key: DataKey::from_bytes([0x32; 32]),
    }
}
