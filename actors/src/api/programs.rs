//! Programs that act for a user: tokens with the entries that they may read.

use ocmt_types::{Digest32, ProgramTokenId, Secret, Timestamp, VaultId};
use serde::{Deserialize, Serialize};

use super::users::Done;
use crate::call::calls;

/// One entry's data key, sealed to whom it is handed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryGrant {
    /// Which object.
    pub object: Digest32,
    /// The version that the key opens.
    pub version: u64,
    /// The sealed key, signed by the giver.
    pub sealed: Vec<u8>,
}

/// Make a token with which a program reads these entries, and asks about senders to its user's agents. With step-up.
#[derive(Debug, Clone)]
pub struct CreateProgramToken {
    /// 1 to 100 bytes.
    pub name: String,
    /// The caller's own vault.
    pub vault: VaultId,
    /// X25519, made by the program.
    pub program_key: [u8; 32],
    /// 1 to 48.
    pub grants: Vec<EntryGrant>,
    /// 1 min to 366 days, in milliseconds.
    pub lifetime_ms: i64,
    /// SHA-256 of the request's idempotency key: a repeat makes no second token.
    pub asked_by: Digest32,
}

/// Answer of [`CreateProgramToken`]; the secret is shown this once.
pub struct ProgramTokenIssued {
    /// Which.
    pub id: ProgramTokenId,
    /// `ocmt_prg_…`
    pub secret: Secret<String>,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// End a program's token, at once and everywhere.
#[derive(Debug, Clone)]
pub struct RevokeProgramToken {
    /// Which.
    pub token: ProgramTokenId,
}

/// Answer of [`RevokeProgramToken`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramTokenRevoked {
    /// Objects whose present version the program has the key of: its user's client writes them anew.
    pub rekey: Vec<[u8; 32]>,
    /// Of which vault.
    pub vault: VaultId,
}

/// Let a program go on that was stopped because it read unusually much. With step-up.
#[derive(Debug, Clone, Copy)]
pub struct ReleaseProgramToken {
    /// Which.
    pub token: ProgramTokenId,
}

calls! {
    /// Calls about programs.
    #[expect(clippy::enum_variant_names, reason = "they are the names of the methods")]
    Programs: ProgramsCall of "ShareService" {
        once CreateProgramToken => ProgramTokenIssued,
        write RevokeProgramToken => ProgramTokenRevoked,
        write ReleaseProgramToken => Done,
    }
}
