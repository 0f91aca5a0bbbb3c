//! Programs that act for a user with a token of their own.

use ocmt_types::{Digest32, ProgramTokenId, Timestamp, UserId, VaultId};

use crate::kernel::row::rows;

rows! {
    /// A program's token. Ended by deleting it.
    pub struct ProgramToken: tenant("program_tokens") {
        key {
            /// Which token.
            program_token_id: ProgramTokenId,
        }
        /// For whom the program acts.
        user_id: UserId,
        /// Whose entries it may read.
        vault_id: VaultId,
        /// What its user calls it.
        name: String,
        /// SHA-256 of the token.
        token_hash: Digest32,
        /// The X25519 key that the program made.
        program_key: Digest32,
        /// When it was made.
        created_at: Timestamp,
        /// It is dead from then on.
        expires_at: Timestamp,
        /// SHA-256 of the idempotency key of the request that made it; of older ones it is not known.
        asked_by: Option<Digest32>,
    } unique(tenant_id, token_hash) index(tenant_id, user_id);

    /// An entry that a program may read: its data key, sealed to the program.
    pub struct ProgramGrant: tenant("program_grants") {
        key {
            /// Of which token.
            program_token_id: ProgramTokenId,
            /// Which entry.
            object_id: Digest32,
        }
        /// The version that the key opens.
        version: i64,
        /// The sealed key (`docs/formats.md`, "Entry grant").
        sealed_grant: Vec<u8>,
    } index(tenant_id, object_id);

    /// How fast a program reads, and whether it was stopped for it.
    pub struct ProgramPace: tenant("program_pace") {
        key {
            /// Which token.
            program_token_id: ProgramTokenId,
        }
        /// When the window began.
        since: Timestamp,
        /// Reads in it.
        reads: i64,
        /// Reads in the busiest window there was.
        usual: i64,
        /// When it was stopped.
        locked_at: Option<Timestamp>,
    };
}
