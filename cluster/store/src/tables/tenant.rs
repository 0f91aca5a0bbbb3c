//! A tenant, its users, and how they sign in.

use ocmt_types::{Digest32, InviteId, SessionId, Timestamp, UserId};

use crate::{kernel::row::rows, text_enum};

text_enum! {
    /// Whether a tenant works.
    pub enum TenantState {
        /// It does.
        Active = "active",
        /// Stopped by an operator; reads of its own state only.
        Suspended = "suspended",
        /// Being removed.
        Deleting = "deleting",
    }

    /// What a user may do in the tenant.
    pub enum UserRole {
        /// Everything, and cannot be removed by others.
        Owner = "owner",
        /// Users, groups and policy.
        Admin = "admin",
        /// Their own vault and container.
        Member = "member",
        /// Sees the tenant and its people; has a vault for the keys of a guardian.
        Observer = "observer",
    }

    /// Whether a user may sign in.
    pub enum UserState {
        /// Yes.
        Active = "active",
        /// No, and their sessions are ended.
        Suspended = "suspended",
        /// No; the row stays for the audit trail.
        Removed = "removed",
    }

    /// What a magic link is good for.
    pub enum LinkPurpose {
        /// A full session.
        SignIn = "sign_in",
        /// A session for recovery ceremonies and nothing else.
        Recovery = "recovery",
        /// A proof of presence in a session that is there already.
        StepUp = "step_up",
    }

    /// How sure the tenant is of who holds a session, weakest first.
    pub enum Assurance {
        /// A link to an address that is not the account's yet, by a guardian's word: one ceremony to propose, and nothing
        /// before guardians have signed for it.
        Inert = "inert",
        /// A magic link, and the second factor is due.
        PendingMfa = "pending_mfa",
        /// Any other that was put out while a ceremony that it opened goes on: that ceremony only.
        Narrowed = "narrowed",
        /// A link asked for recovery: ceremonies only.
        Recovery = "recovery",
        /// A magic link.
        Link = "link",
        /// A link and a second factor.
        Mfa = "mfa",
    }
}

rows! {
    /// The tenant itself: one row each.
    pub struct Tenant: tenant("tenants") {
        key {}
        /// What people call it, at most 200 bytes.
        name: String,
        /// Whether it works.
        state: TenantState,
        /// Its policy in the actor's own encoding; empty means all defaults.
        policy: Vec<u8>,
        /// Grows with each change of the row.
        version: i64,
        /// When it was created.
        created_at: Timestamp,
    };

    /// A person in the tenant.
    pub struct User: tenant("users") {
        key {
            /// Which person.
            user_id: UserId,
        }
        /// Their address, normalised; unique in the tenant.
        email: String,
        /// What others see.
        display_name: String,
        /// What they may do.
        role: UserRole,
        /// Whether they may sign in.
        state: UserState,
        /// Their published identity keys (`docs/formats.md`), once they have some.
        identity_public: Option<Vec<u8>>,
        /// The TOTP secret, wrapped by the cluster's sealing key.
        totp_wrapped: Option<Vec<u8>>,
        /// The last TOTP step that was used; that step and all before it are refused.
        totp_last_step: Option<i64>,
        /// When they joined.
        created_at: Timestamp,
        /// The custom role that narrows `role`, if they have one.
        custom_role: Option<String>,
        /// How many passkeys they have.
        passkeys: i64,
    } unique(tenant_id, email);

    /// An invitation to the tenant that was not taken yet.
    pub struct Invite: tenant("invites") {
        key {
            /// Which invitation.
            invite_id: InviteId,
        }
        /// SHA-256 of the token in the mail.
        token_hash: Digest32,
        /// Who is invited, normalised.
        email: String,
        /// What they will be.
        role: UserRole,
        /// Who invited them.
        invited_by: UserId,
        /// When.
        created_at: Timestamp,
        /// The token is dead from then on.
        expires_at: Timestamp,
        /// The custom role that will narrow `role`, if they are to have one.
        custom_role: Option<String>,
    } unique(tenant_id, token_hash) index(tenant_id, email);

    /// A magic link that was not used yet.
    pub struct Link: tenant("links") {
        key {
            /// SHA-256 of the token in the mail.
            token_hash: Digest32,
        }
        /// Whom it signs in.
        user_id: UserId,
        /// What it is good for.
        purpose: LinkPurpose,
        /// SHA-256 of the secret that the asking client keeps.
        binding_hash: Digest32,
        /// When it was asked for.
        created_at: Timestamp,
        /// It is dead from then on.
        expires_at: Timestamp,
    } index(tenant_id, user_id);

    /// A sign-in session.
    pub struct Session: tenant("sessions") {
        key {
            /// Which session.
            session_id: SessionId,
        }
        /// Whose.
        user_id: UserId,
        /// SHA-256 of its token.
        token_hash: Digest32,
        /// How sure the tenant is of who holds it.
        assurance: Assurance,
        /// The client as it called itself, for the list of sessions.
        client: String,
        /// When it began.
        created_at: Timestamp,
        /// When its holder last proved who they are (step-up).
        authenticated_at: Timestamp,
        /// Last use, written in coarse steps.
        seen_at: Timestamp,
        /// It ends then if it is not used before.
        idle_expires_at: Timestamp,
        /// It ends then in any case.
        expires_at: Timestamp,
        /// When it was ended, if it was.
        ended_at: Option<Timestamp>,
        /// Network address it was last used from, for the list of sessions.
        address: Option<String>,
        /// A passkey was shown in it.
        passkey: bool,
    } unique(tenant_id, token_hash) index(tenant_id, user_id);
}
