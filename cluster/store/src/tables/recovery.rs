//! Guardians and recovery ceremonies, on the owner's side and on the guardian's.
//!
//! Nothing in here opens a share: units are sealed to guardians, approvals to the release key, and the
//! release key is wrapped by the cluster's sealing key, which is in no database.

use ocmt_types::{Digest32, GuardianSetId, GuardianshipId, SessionId, TenantId, Timestamp, UserId, VaultId};

use crate::{kernel::row::rows, text_enum};

text_enum! {
    /// Where a set of guardians is in its life.
    pub enum GuardianSetState {
        /// Dealt, its units on the way.
        Dealt = "dealt",
        /// The set in force.
        Active = "active",
        /// Replaced or used; opens nothing any more.
        Retired = "retired",
    }

    /// Where one guardianship is in its life.
    pub enum GuardianshipState {
        /// Asked.
        Invited = "invited",
        /// Taken on, with identity keys.
        Accepted = "accepted",
        /// Units of a set are on their way.
        Dealt = "dealt",
        /// Holds sealed units of a set.
        Active = "active",
        /// Given up by the guardian.
        Resigned = "resigned",
        /// Ended by the owner.
        Removed = "removed",
    }

    /// What a ceremony is for.
    pub enum CeremonyPurpose {
        /// A vault whose owner has lost the passphrase.
        Recover = "recover",
        /// A group vault under threshold policy.
        Unlock = "unlock",
        /// To go on over a veto or a lock.
        Override = "override",
    }

    /// Where a ceremony is. It only moves forward.
    pub enum CeremonyState {
        /// Overrides a stop: too few guardians have signed for it yet.
        Proposed = "proposed",
        /// Approvals are taken.
        Open = "open",
        /// Enough approvals; the delay runs.
        Ready = "ready",
        /// May be collected.
        Released = "released",
        /// Done.
        Completed = "completed",
        /// Too many denials.
        Denied = "denied",
        /// Stopped by the owner.
        Vetoed = "vetoed",
        /// Stopped by a guardian.
        Locked = "locked",
        /// Too late.
        Expired = "expired",
        /// Given up by the requester.
        Cancelled = "cancelled",
    }

    /// What a guardian said.
    pub enum Verdict {
        /// Yes, with sealed units.
        Approve = "approve",
        /// No.
        Deny = "deny",
        /// Stop it for the lock period.
        Lock = "lock",
        /// "I am not sure": tells the others.
        Doubt = "doubt",
        /// It goes on over a stop.
        Override = "override",
        /// The requester found the share that was approved with to be another than the one dealt.
        BadShare = "bad_share",
    }
}

impl CeremonyState {
    /// Those in which a ceremony is not over.
    pub const LIVE: [Self; 4] = [Self::Proposed, Self::Open, Self::Ready, Self::Released];
}

rows! {
    /// A set of guardians dealt by one owner at one time.
    pub struct GuardianSet: tenant("guardian_sets") {
        key {
            /// Chosen by the client.
            set_id: GuardianSetId,
        }
        /// Whose.
        user_id: UserId,
        /// For which vault.
        vault_id: VaultId,
        /// Where it is in its life.
        state: GuardianSetState,
        /// Units needed.
        threshold: i64,
        /// Units dealt.
        units: i64,
        /// The signed set.
        body: Vec<u8>,
        /// What ceremonies and units are bound to.
        set_hash: Digest32,
        /// The vault's key epoch when it was dealt; the next set needs a later one.
        key_epoch: i64,
        /// Until when a guardian's lock stops all ceremonies over it.
        locked_until: Option<Timestamp>,
        /// When it was dealt.
        created_at: Timestamp,
        /// When it was retired.
        retired_at: Option<Timestamp>,
    } index(tenant_id, user_id);

    /// One guardianship, on the owner's side.
    pub struct GuardianshipOut: tenant("guardianships_out") {
        key {
            /// The same id on both sides.
            guardianship_id: GuardianshipId,
        }
        /// The owner.
        user_id: UserId,
        /// For which vault.
        vault_id: VaultId,
        /// The address that was asked, normalised.
        guardian_email: String,
        /// The guardian's tenant, once accepted.
        guardian_tenant: Option<TenantId>,
        /// The guardian there, once accepted.
        guardian_user: Option<UserId>,
        /// Units the guardian is to hold.
        units: i64,
        /// Where it is in its life.
        state: GuardianshipState,
        /// The guardian's identity keys, once accepted.
        identity_public: Option<Vec<u8>>,
        /// The set whose units they hold.
        set_id: Option<GuardianSetId>,
        /// When they were asked.
        created_at: Timestamp,
        /// When it last changed.
        updated_at: Timestamp,
        /// An unanswered invitation ends then.
        expires_at: Timestamp,
        /// When they last locked: once a lock period.
        locked_at: Option<Timestamp>,
        /// The drill that waits for an answer, in the actor's own encoding.
        drill: Option<Vec<u8>>,
        /// When they last proved in a drill that they hold their units.
        drilled_at: Option<Timestamp>,
    } index(tenant_id, user_id);

    /// One guardianship, on the guardian's side.
    pub struct GuardianshipIn: tenant("guardianships_in") {
        key {
            /// The same id on both sides.
            guardianship_id: GuardianshipId,
        }
        /// The guardian.
        user_id: UserId,
        /// The owner's tenant.
        owner_tenant: TenantId,
        /// The owner there.
        owner_user: UserId,
        /// The owner's address as their tenant tells it.
        owner_email: String,
        /// The owner's Ed25519 identity key as their tenant tells it, once one is published.
        owner_identity: Option<Digest32>,
        /// The vault that is guarded.
        vault_id: VaultId,
        /// Units to hold.
        units: i64,
        /// Where it is in its life.
        state: GuardianshipState,
        /// The guardian's identity keys, once accepted.
        identity_public: Option<Vec<u8>>,
        /// The set whose units are held.
        set_id: Option<GuardianSetId>,
        /// When it was dealt: an older one that arrives later is not taken.
        dealt_at: Option<Timestamp>,
        /// The signed set.
        set_body: Option<Vec<u8>>,
        /// The units, sealed to the guardian's identity key.
        sealed_units: Option<Vec<u8>>,
        /// When it came.
        created_at: Timestamp,
        /// When it last changed.
        updated_at: Timestamp,
        /// An unanswered invitation ends then.
        expires_at: Timestamp,
        /// The drill that waits for an answer, in the actor's own encoding.
        drill: Option<Vec<u8>>,
        /// When a drill was last passed.
        drilled_at: Option<Timestamp>,
    } index(tenant_id, user_id);

    /// A ceremony, on the owner's side.
    pub struct Ceremony: tenant("ceremonies") {
        key {
            /// The hash of all its parameters.
            ceremony_id: Digest32,
        }
        /// Whose vault.
        user_id: UserId,
        /// Which vault.
        vault_id: VaultId,
        /// Over which set.
        set_id: GuardianSetId,
        /// What it is for.
        purpose: CeremonyPurpose,
        /// Where it is.
        state: CeremonyState,
        /// Its parameters, as hashed.
        params: Vec<u8>,
        /// The session that opened it.
        opened_by: SessionId,
        /// The public release key.
        release_public: Digest32,
        /// The private release key, wrapped by the sealing key; gone when the ceremony is stopped.
        release_private_wrapped: Option<Vec<u8>>,
        /// The node's signed statement on the release key.
        statement: Vec<u8>,
        /// The certificates of the key that signed it, in the actor's own encoding.
        certificates: Vec<u8>,
        /// Units approved so far.
        approved_units: i64,
        /// When it was opened.
        opened_at: Timestamp,
        /// When a verified channel of the owner took the notice; the delay counts from here.
        notified_at: Option<Timestamp>,
        /// When the delay will have passed.
        matures_at: Option<Timestamp>,
        /// It is too late from then on.
        expires_at: Timestamp,
        /// When it was released.
        released_at: Option<Timestamp>,
        /// When it came to its end.
        ended_at: Option<Timestamp>,
        /// Grows with each change of the row.
        version: i64,
        /// The address that its completion makes the user's, where the mailbox is lost too.
        new_email: Option<String>,
    } index(tenant_id, user_id) index(tenant_id, vault_id) index(purpose, state);

    /// What a guardian said in a ceremony, on the owner's side. Each verdict of each counts once.
    pub struct Approval: tenant("approvals") {
        key {
            /// In which ceremony.
            ceremony_id: Digest32,
            /// By which guardian.
            guardianship_id: GuardianshipId,
            /// What.
            verdict: Verdict,
        }
        /// Units it carries; 0 unless it approves.
        units: i64,
        /// The signed statement.
        body: Vec<u8>,
        /// When it was committed.
        received_at: Timestamp,
    };

    /// A ceremony that a guardian is asked about, on the guardian's side.
    pub struct CeremonyRequest: tenant("ceremony_requests") {
        key {
            /// Which ceremony.
            ceremony_id: Digest32,
            /// In which guardianship.
            guardianship_id: GuardianshipId,
        }
        /// The guardian.
        user_id: UserId,
        /// The owner's tenant.
        owner_tenant: TenantId,
        /// Where it is, as the owner's tenant last told.
        state: CeremonyState,
        /// The ceremony as the owner's tenant last told, in the actor's own encoding.
        view: Vec<u8>,
        /// Which change of the ceremony that was: an older one that arrives later is not taken.
        version: i64,
        /// What this guardian said last, once the owner's tenant committed it.
        verdict: Option<Verdict>,
        /// When it was opened.
        opened_at: Timestamp,
        /// It is too late from then on.
        expires_at: Timestamp,
        /// When it last changed.
        updated_at: Timestamp,
    } index(tenant_id, user_id);
}
