//! What was done: the chained audit records, and answers kept for repeated requests.

use ocmt_types::{Digest32, Timestamp};

use crate::kernel::row::rows;

rows! {
    /// One audit record of the tenant. Written once, with the change it tells of.
    pub struct AuditRow: tenant("audit") {
        key {
            /// 1, 2, 3 … without a gap.
            seq: i64,
        }
        /// When it happened.
        at: Timestamp,
        /// Who did it, as text to search by: `user/<id>`.
        actor: String,
        /// What was done, as `area.verb`.
        action: String,
        /// Upon what, as `kind/id`; empty if upon nothing.
        object: String,
        /// The canonical bytes that are hashed (`docs/formats.md`).
        record: Vec<u8>,
        /// The chain's hash up to and with this record.
        hash: Digest32,
    } index(tenant_id, at);

    /// The end of the tenant's audit chain.
    pub struct AuditHead: tenant("audit_head") {
        key {}
        /// Number of the last record.
        seq: i64,
        /// Its hash.
        hash: Digest32,
        /// How many of the records the Merkle tree is grown over: all, but after an earlier program.
        tree_size: i64,
        /// The roots of the complete subtrees that it is made of, largest first, 32 bytes each.
        peaks: Vec<u8>,
    };

    /// Nodes of the Merkle tree over the tenant's audit, with the record that completes their subtrees. Records with
    /// odd numbers complete none.
    pub struct AuditNodes: tenant("audit_nodes") {
        key {
            /// Number of the record.
            seq: i64,
        }
        /// Roots of the subtrees, lowest first, 32 bytes each; leaves are not among them.
        hashes: Vec<u8>,
    };

    /// The hashes of the leaves of 256 records that were pruned, in their place.
    pub struct AuditLeaves: tenant("audit_leaves") {
        key {
            /// Which 256: 0 for records 1 to 256.
            chunk: i64,
        }
        /// The hashes in the order of the records, 32 bytes each.
        hashes: Vec<u8>,
    };

    /// How long the tenant's audit is kept, and what was pruned of it.
    pub struct AuditRetention: tenant("audit_retention") {
        key {}
        /// In milliseconds; 0 for good.
        keep_ms: i64,
        /// Number of the record that set it, or repeats it.
        policy_seq: i64,
        /// Nothing is pruned before.
        not_before: Timestamp,
        /// The last record that was pruned; 0 if none was.
        cut: i64,
        /// The signed note of that; empty if none was.
        note: String,
        /// Certificates of who signed it: the leaf first, each behind its length of four bytes.
        signer: Vec<u8>,
        /// When.
        pruned_at: Option<Timestamp>,
    };

    /// The answer to a request that may be repeated.
    pub struct IdempotencyRow: tenant("idempotency") {
        key {
            /// Who asked, as text of the actor's choice.
            principal: String,
            /// The key the client chose, 16 to 64 bytes.
            idempotency_key: Vec<u8>,
        }
        /// Which method.
        method: String,
        /// SHA-256 of the request without the key.
        request_hash: Digest32,
        /// What was answered.
        response: Vec<u8>,
        /// When; rows older than a day may be dropped.
        created_at: Timestamp,
    } index(tenant_id, created_at);
}
