//! Operators of the cluster, invitations of nodes, acts that take two steps, generations of the sealing key.

use ocmt_types::{ActId, Digest32, NodeId, OperatorId, Timestamp};

use crate::{kernel::row::rows, text_enum};

text_enum! {
    /// Acts that destroy something, which an operator asks for twice.
    pub enum ActKind {
        /// A tenant with all it has.
        DeleteTenant = "delete_tenant",
        /// A node's certificate ends.
        RevokeNode = "revoke_node",
        /// A dead node is struck off, with the volumes on it.
        ForgetNode = "forget_node",
        /// The database was put back to an older state.
        AcceptRestore = "accept_restore",
        /// An operator's certificate ends.
        RevokeOperator = "revoke_operator",
    }
}

rows! {
    /// Somebody who operates the cluster, by certificate. Rows stay, so that a revoked certificate stays refused.
    pub struct Operator: global("operators") {
        key {
            /// Stands in the certificate.
            operator_id: OperatorId,
        }
        /// Name for people.
        name: String,
        /// SHA-256 of the certificate; no other of this operator is taken.
        fingerprint: Digest32,
        /// When it was made.
        created_at: Timestamp,
        /// When the certificate ends.
        expires_at: Timestamp,
        /// When it was revoked.
        revoked_at: Option<Timestamp>,
    };

    /// An invitation for one node. Gone once used.
    pub struct JoinToken: global("join_tokens") {
        key {
            /// SHA-256 of the token.
            token_hash: Digest32,
        }
        /// The operator who asked for it.
        created_by: OperatorId,
        /// The hosts and addresses that the node may ask for, one a line; empty if the operator named none.
        names: String,
        /// When.
        created_at: Timestamp,
        /// It is dead from then on.
        expires_at: Timestamp,
    } index(expires_at);

    /// A destructive act on its way. Gone once done.
    pub struct DestructiveAct: global("destructive_acts") {
        key {
            /// Which.
            act_id: ActId,
        }
        /// Who asked for it; nobody else may go on with it.
        operator_id: OperatorId,
        /// What is to be done.
        act: ActKind,
        /// On what: the id's text.
        object: String,
        /// SHA-256 of the token that the second step gave out; none before it.
        token_hash: Option<Digest32>,
        /// When it was begun.
        created_at: Timestamp,
        /// It is dead from then on.
        expires_at: Timestamp,
    } unique(token_hash) index(expires_at);

    /// A generation of the sealing key that some node has made. The key itself is on the nodes' disks.
    pub struct SealingGeneration: global("sealing_generations") {
        key {
            /// From 1; the largest is the one to wrap under.
            generation: i64,
        }
        /// The node that made it.
        made_by: NodeId,
        /// When.
        made_at: Timestamp,
        /// Since when nothing is wrapped under an earlier one, so that nodes erase those.
        alone_since: Option<Timestamp>,
        /// Until when gateway tokens of the generation before are good; none where somebody else may have that.
        overlap_until: Option<Timestamp>,
    };

    /// The generation of the sealing key that a node wraps under.
    pub struct SealingHolder: global("sealing_holders") {
        key {
            /// Which node.
            node_id: NodeId,
        }
        /// It has nothing in hand that is wrapped under an earlier one.
        generation: i64,
    };
}
