//! The register of kinds: the byte that says what an object is, so that none is taken for another.

/// What an envelope or a canonical object is. Stands in its head, and so in what authenticates it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Kind(pub u8);

/// Envelopes: encrypted.
impl Kind {
    /// Body of a vault object, under its data key.
    pub const OBJECT_BODY: Self = Self(0x01);
    /// A data key, under a vault key.
    pub const WRAPPED_KEY: Self = Self(0x02);
    /// The locked half of a key slot, under the slot's secret.
    pub const LOCKED_HALF: Self = Self(0x03);
    /// A record of a transcript, under its conversation's data key.
    pub const TRANSCRIPT_RECORD: Self = Self(0x04);
    /// What a node wraps under the cluster's sealing key.
    pub const NODE_SEALED: Self = Self(0x05);
    /// An item of a vault's inbox.
    pub const INBOX_ITEM: Self = Self(0x06);
    /// What came back from a service's authorization, under a key of the unlock.
    pub const AUTHORIZATION_ANSWER: Self = Self(0x07);
    /// A chunk of a snapshot, under the snapshot's key.
    pub const SNAPSHOT_CHUNK: Self = Self(0x08);
    /// What the taker of a share sends to the vault's inbox.
    pub const SHARED_WRITE: Self = Self(0x09);
    /// The head of a sealed volume, under a key of its container's volume key.
    pub const SEALED_VOLUME: Self = Self(0x0a);
}

/// Canonical objects in clear, most of them signed.
impl Kind {
    /// A key slot.
    pub const KEY_SLOT: Self = Self(0x10);
    /// A manifest.
    pub const MANIFEST: Self = Self(0x11);
    /// A succession of vault signing keys.
    pub const SUCCESSION: Self = Self(0x12);
    /// The keyring, inside its object's body.
    pub const KEYRING: Self = Self(0x13);
    /// An entry, inside its object's body.
    pub const ENTRY: Self = Self(0x14);
    /// The history of a conversation or volume key, inside its object's body.
    pub const KEY_HISTORY: Self = Self(0x15);
    /// An audit record.
    pub const AUDIT_RECORD: Self = Self(0x16);
    /// A vault object with its wrapped key and body.
    pub const VAULT_OBJECT: Self = Self(0x17);
    /// The ledger of unlocks and shares that may write, inside its object's body.
    pub const UNLOCK_LEDGER: Self = Self(0x18);
    /// What the giver of a share that may write signs for its taker.
    pub const WRITE_GRANT: Self = Self(0x19);
}

/// Cell and channel.
impl Kind {
    /// A cell's key, signed by its host.
    pub const CELL_KEY: Self = Self(0x20);
    /// An unlock payload, inside its sealed box.
    pub const UNLOCK_PAYLOAD: Self = Self(0x21);
    /// An extension of a lease.
    pub const EXTEND_LEASE: Self = Self(0x22);
    /// Where a cell sends its user's browser.
    pub const AUTHORIZATION_OFFER: Self = Self(0x23);
    /// A cell's key, offered to its host.
    pub const CELL_KEY_OFFER: Self = Self(0x25);
    /// A snapshot's key for a cell that runs nothing, inside its sealed box.
    pub const SNAPSHOT_PAYLOAD: Self = Self(0x26);
    /// What agents may do, signed by a node.
    pub const AGENT_POLICY: Self = Self(0x27);
    /// The key that signs that, as a host vouches for it to a cell.
    pub const POLICY_SIGNER: Self = Self(0x28);
    /// The keys of gateway tokens, as a host states them to a cell.
    pub const GATEWAY_KEYS: Self = Self(0x29);
    /// When snapshots are taken and who opens them, signed by a user.
    pub const SNAPSHOT_SCHEDULE: Self = Self(0x2a);
    /// The same as a host hands it to a cell.
    pub const SCHEDULE_ORDER: Self = Self(0x2b);
    /// The key of a snapshot by schedule, sealed by the cell that took it.
    pub const SCHEDULED_KEY: Self = Self(0x2c);
    /// What a snapshot by schedule is, signed by its host.
    pub const SNAPSHOT_TAKEN: Self = Self(0x2d);
    /// Which container's cell a group's vault may be opened into, and what of it, signed by that vault.
    pub const CELL_APPOINTMENT: Self = Self(0x2e);
    /// What one unlock into that cell goes by.
    pub const CELL_ORDER: Self = Self(0x2f);
}

/// Guardians and ceremonies.
impl Kind {
    /// A guardian set.
    pub const GUARDIAN_SET: Self = Self(0x30);
    /// A share unit, inside its sealed box.
    pub const SHARE_UNIT: Self = Self(0x31);
    /// The parameters of a ceremony.
    pub const CEREMONY: Self = Self(0x32);
    /// A node's statement of a release key.
    pub const RELEASE_STATEMENT: Self = Self(0x33);
    /// A guardian's approval.
    pub const APPROVAL: Self = Self(0x34);
    /// A denial, lock, doubt or veto.
    pub const STOP_STATEMENT: Self = Self(0x35);
    /// An answer to a drill.
    pub const DRILL_ANSWER: Self = Self(0x36);
    /// A drill's challenge.
    pub const DRILL_CHALLENGE: Self = Self(0x37);
    /// What a guardian releases of a unit, inside the inner box of an approval.
    pub const RELEASED_UNITS: Self = Self(0x38);
    /// What a node hands the cell that opens a group's vault.
    pub const CELL_HANDOVER: Self = Self(0x39);
}

/// Vaults of groups.
impl Kind {
    /// A member's word that they take part.
    pub const GROUP_ACCEPTANCE: Self = Self(0x50);
    /// An administrator's word to a member about the vault.
    pub const GROUP_ADMISSION: Self = Self(0x51);
}

/// Exports.
impl Kind {
    /// The header of an export.
    pub const EXPORT: Self = Self(0x40);
    /// A chunk of one: an envelope under its passphrase's key.
    pub const EXPORT_CHUNK: Self = Self(0x41);
    /// The header of a backup of the cluster's sealing key.
    pub const SEALING_BACKUP: Self = Self(0x42);
    /// What is in one: an envelope under its passphrase's key.
    pub const SEALING_BACKUP_BODY: Self = Self(0x43);
}
