//! The tenant: its policy and its people.

mod quota;

use std::time::Duration;

use ocmt_proto::v1 as pb;
use ocmt_types::{TenantId, Timestamp, UserId};
use serde::Serialize;

use crate::{
    Client, ClientError,
    client::{id, idempotency_key, present},
    pages::Pages,
    pairing::{DirectPolicy, GroupPolicy},
    wire::{duration, millis, time},
};

pub use quota::{Quota, Quotas};

/// A tenant with its policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tenant {
    /// Which.
    pub id: TenantId,
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// When it is deleted, if that was asked for.
    pub deletes_at: Option<Timestamp>,
    /// Its policy.
    pub policy: Policy,
    /// For compare-and-swap.
    pub policy_version: u64,
}

/// Times of the policy in milliseconds; none where the node's default holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Policy {
    /// Idle time until a container is paused.
    pub pause_after_ms: Option<u64>,
    /// Idle time until it is stopped.
    pub stop_after_ms: Option<u64>,
    /// From the notice of a recovery to its release.
    pub recovery_delay_ms: Option<u64>,
    /// How long a guardian's lock holds.
    pub lock_period_ms: Option<u64>,
    /// Delay of a change of guardians.
    pub change_delay_ms: Option<u64>,
    /// How long that change may then be made.
    pub change_window_ms: Option<u64>,
    /// What becomes of direct messages to agents.
    pub dm_policy: Option<DirectPolicy>,
    /// What becomes of messages to agents in groups of a messenger.
    pub group_policy: Option<GroupPolicy>,
    /// Unused time until a session ends.
    pub session_idle_ms: Option<u64>,
    /// Time until it ends in any case.
    pub session_absolute_ms: Option<u64>,
    /// Most live sessions of one user.
    pub max_sessions: Option<u32>,
    /// Whether every user needs a second factor.
    pub require_mfa: bool,
    /// Whether that factor has to be a passkey.
    pub require_passkey: bool,
    /// How long a step-up is good.
    pub step_up_lifetime_ms: Option<u64>,
    /// From confirming another address to its counting.
    pub email_change_delay_ms: Option<u64>,
    /// How long transcripts are kept after their last record; none for ever.
    pub transcript_retention_ms: Option<u64>,
    /// Versions of an entry that vaults keep besides the present one.
    pub kept_versions: Option<u32>,
    /// Memory that Argon2id takes at the least for what opens a vault, in MiB.
    pub argon2_memory_mib: Option<u32>,
    /// Passes that it takes at the least.
    pub argon2_passes: Option<u32>,
    /// How long a backup key is waited for.
    pub backup_delay_ms: Option<u64>,
    /// How long a hardware token is waited for.
    pub hardware_delay_ms: Option<u64>,
}

/// What to change of a policy; what is absent stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PolicyChange {
    /// Idle time until a container is paused.
    pub pause_after: Option<Duration>,
    /// Idle time until it is stopped.
    pub stop_after: Option<Duration>,
    /// From the notice of a recovery to its release.
    pub recovery_delay: Option<Duration>,
    /// How long a guardian's lock holds.
    pub lock_period: Option<Duration>,
    /// Delay of a change of guardians.
    pub change_delay: Option<Duration>,
    /// How long that change may then be made.
    pub change_window: Option<Duration>,
    /// What becomes of direct messages to agents.
    pub dm_policy: Option<DirectPolicy>,
    /// What becomes of messages to agents in groups of a messenger.
    pub group_policy: Option<GroupPolicy>,
    /// Unused time until a session ends.
    pub session_idle: Option<Duration>,
    /// Time until it ends in any case.
    pub session_absolute: Option<Duration>,
    /// Most live sessions of one user.
    pub max_sessions: Option<u32>,
    /// Whether every user needs a second factor.
    pub require_mfa: Option<bool>,
    /// Whether that factor has to be a passkey.
    pub require_passkey: Option<bool>,
    /// How long a step-up is good.
    pub step_up_lifetime: Option<Duration>,
    /// From confirming another address to its counting.
    pub email_change_delay: Option<Duration>,
    /// How long transcripts are kept after their last record; zero for ever.
    pub transcript_retention: Option<Duration>,
    /// Versions of an entry that vaults keep besides the present one.
    pub kept_versions: Option<u32>,
    /// Memory that Argon2id takes at the least for what opens a vault, in MiB.
    pub argon2_memory_mib: Option<u32>,
    /// Passes that it takes at the least.
    pub argon2_passes: Option<u32>,
    /// How long a backup key is waited for; zero for not at all.
    pub backup_delay: Option<Duration>,
    /// How long a hardware token is waited for; zero for not at all.
    pub hardware_delay: Option<Duration>,
}

/// One person of the tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct User {
    /// Which.
    pub id: UserId,
    /// Their address.
    pub email: String,
    /// Their role.
    pub role: String,
    /// When they came.
    pub created_at: Option<Timestamp>,
    /// Whether their account has a second factor.
    pub second_factor: bool,
}

impl PolicyChange {
    fn paths(&self) -> Vec<String> {
        let members = [
            ("hibernation.pause_after", self.pause_after),
            ("hibernation.stop_after", self.stop_after),
            ("recovery.recovery_delay", self.recovery_delay),
            ("recovery.lock_period", self.lock_period),
            ("recovery.change_delay", self.change_delay),
            ("recovery.change_window", self.change_window),
            ("sessions.idle_limit", self.session_idle),
            ("sessions.absolute_limit", self.session_absolute),
            ("sessions.step_up_lifetime", self.step_up_lifetime),
            ("sessions.email_change_delay", self.email_change_delay),
            ("vault.transcript_retention", self.transcript_retention),
            ("vault.backup_delay", self.backup_delay),
            ("vault.hardware_delay", self.hardware_delay),
        ];
        let named = members.iter().filter_map(|(path, value)| value.map(|_| *path));
        let named = named.chain(self.dm_policy.map(|_| "pairing.dm_policy"));
        let named = named.chain(self.group_policy.map(|_| "pairing.group_policy"));
        let named = named.chain(self.max_sessions.map(|_| "sessions.max_sessions"));
        let named = named.chain(self.kept_versions.map(|_| "vault.kept_versions"));
        let named = named.chain(self.argon2_memory_mib.map(|_| "vault.argon2_memory_mib"));
        let named = named.chain(self.argon2_passes.map(|_| "vault.argon2_passes"));
        let named = named.chain(self.require_mfa.map(|_| "sessions.require_mfa"));
        let named = named.chain(self.require_passkey.map(|_| "sessions.require_passkey"));
        named.map(str::to_owned).collect()
    }

    fn policy(&self) -> pb::TenantPolicy {
        pb::TenantPolicy {
            hibernation: Some(pb::HibernationPolicy {
                pause_after: self.pause_after.map(duration),
                stop_after: self.stop_after.map(duration),
                ..Default::default()
            }),
            sessions: Some(pb::SessionPolicy {
                idle_limit: self.session_idle.map(duration),
                absolute_limit: self.session_absolute.map(duration),
                max_sessions: self.max_sessions,
                require_mfa: self.require_mfa,
                require_passkey: self.require_passkey,
                step_up_lifetime: self.step_up_lifetime.map(duration),
                email_change_delay: self.email_change_delay.map(duration),
            }),
            recovery: Some(pb::RecoveryPolicy {
                recovery_delay: self.recovery_delay.map(duration),
                lock_period: self.lock_period.map(duration),
                change_delay: self.change_delay.map(duration),
                change_window: self.change_window.map(duration),
                ..Default::default()
            }),
            pairing: Some(pb::PairingPolicy {
                dm_policy: self.dm_policy.map(DirectPolicy::to_wire).unwrap_or_default(),
                group_policy: self.group_policy.map(GroupPolicy::to_wire).unwrap_or_default(),
            }),
            vault: Some(pb::VaultPolicy {
                transcript_retention: self.transcript_retention.filter(|time| !time.is_zero()).map(duration),
                kept_versions: self.kept_versions,
                argon2_memory_mib: self.argon2_memory_mib,
                argon2_passes: self.argon2_passes,
                backup_delay: self.backup_delay.map(duration),
                hardware_delay: self.hardware_delay.map(duration),
                ..Default::default()
            }),
        }
    }
}

impl Client {
    /// Asks for the deletion of the session's tenant, by its name; when it is deleted. Until then
    /// [`Client::keep_tenant`] stops it.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if that is not its name; `STEP_UP_REQUIRED`; [`ClientError`].
    pub async fn delete_tenant(&self, confirm_name: &str) -> Result<Option<Timestamp>, ClientError> {
        let request = pb::DeleteTenantRequest {
            confirm_name: confirm_name.to_owned(),
            idempotency_key: idempotency_key(),
            ..Default::default()
        };
        let answer = self.tenants().delete_tenant(request).await?.into_inner();
        Ok(answer.deletes_at.as_ref().map(time))
    }

    /// Stops a deletion that waits; without one it does nothing.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn keep_tenant(&self) -> Result<Tenant, ClientError> {
        let tenant_id = self.tenant().await?.id.to_string();
        let request = pb::ResumeTenantRequest { tenant_id, idempotency_key: idempotency_key() };
        let answer = self.tenants().resume_tenant(request).await?.into_inner();
        parse(present(answer.tenant, "tenant")?)
    }

    /// The session's tenant.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn tenant(&self) -> Result<Tenant, ClientError> {
        let answer = self.tenants().get_tenant(pb::GetTenantRequest::default()).await?.into_inner();
        parse(present(answer.tenant, "tenant")?)
    }

    /// The limits of the session's tenant, and what is used of them.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn quota(&self) -> Result<Quotas, ClientError> {
        let answer = self.tenants().get_quota(pb::GetQuotaRequest::default()).await?.into_inner();
        let (limit, used) = (present(answer.limit, "limit")?, present(answer.used, "used")?);
        Ok(Quotas { limit: limit.into(), used: used.into() })
    }

    /// Makes another tenant with the caller's address as its owner; sign in to it by a link of its own.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn create_tenant(&self, name: &str) -> Result<Tenant, ClientError> {
        let request = pb::CreateTenantRequest { name: name.to_owned(), idempotency_key: idempotency_key() };
        let answer = self.tenants().create_tenant(request).await?.into_inner();
        parse(present(answer.tenant, "tenant")?)
    }

    /// Changes the policy.
    ///
    /// # Errors
    /// [`ClientError::Usage`] if nothing is to change.
    pub async fn change_policy(&self, change: &PolicyChange) -> Result<Tenant, ClientError> {
        let paths = change.paths();
        if paths.is_empty() {
            return Err(ClientError::Usage("name what is to change".to_owned()));
        }
        let request = pb::UpdateTenantPolicyRequest {
            policy: Some(change.policy()),
            update_mask: Some(prost_types::FieldMask { paths }),
            policy_version: self.tenant().await?.policy_version,
            idempotency_key: idempotency_key(),
        };
        let answer = self.tenants().update_tenant_policy(request).await?.into_inner();
        parse(present(answer.tenant, "tenant")?)
    }

    /// The tenant's users.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_users(&self) -> Result<Vec<User>, ClientError> {
        let (mut all, mut page_token) = (Vec::new(), String::new());
        let mut pages = Pages::default();
        loop {
            let request = pb::ListUsersRequest { page_size: 100, page_token };
            let page = self.users().list_users(request).await?.into_inner();
            for one in page.users {
                all.push(user(one)?);
            }
            pages.turn(&page.next_page_token)?;
            if page.next_page_token.is_empty() {
                return Ok(all);
            }
            page_token = page.next_page_token;
        }
    }

    /// Invites somebody by mail; when the invitation lapses.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn invite_user(&self, email: &str, role: &str) -> Result<Option<Timestamp>, ClientError> {
        let request = pb::InviteUserRequest {
            email: email.to_owned(),
            role_id: role.to_owned(),
            idempotency_key: idempotency_key(),
        };
        let answer = self.users().invite_user(request).await?.into_inner();
        Ok(answer.expires_at.as_ref().map(time))
    }

    /// Gives a user another role.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn set_role(&self, whom: UserId, role: &str) -> Result<User, ClientError> {
        let request = pb::SetRoleRequest {
            user_id: whom.to_string(),
            role_id: role.to_owned(),
            idempotency_key: idempotency_key(),
        };
        let answer = self.users().set_role(request).await?.into_inner();
        user(present(answer.user, "user")?)
    }

    /// Removes a user; their sessions end at once.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn remove_user(&self, whom: UserId) -> Result<(), ClientError> {
        let request = pb::RemoveUserRequest { user_id: whom.to_string(), idempotency_key: idempotency_key() };
        self.users().remove_user(request).await?;
        Ok(())
    }
}

fn parse(from: pb::Tenant) -> Result<Tenant, ClientError> {
    let policy = from.policy.unwrap_or_default();
    let (sleep, recovery) = (policy.hibernation.unwrap_or_default(), policy.recovery.unwrap_or_default());
    let pairing = policy.pairing.unwrap_or_default();
    let (sessions, vault) = (policy.sessions.unwrap_or_default(), policy.vault.unwrap_or_default());
    let ms = |time: &Option<prost_types::Duration>| time.as_ref().map(millis);
    Ok(Tenant {
        id: id(&from.tenant_id, "tenant_id")?,
        name: from.name,
        created_at: from.created_at.as_ref().map(time),
        deletes_at: from.deletes_at.as_ref().map(time),
        policy: Policy {
            pause_after_ms: ms(&sleep.pause_after),
            stop_after_ms: ms(&sleep.stop_after),
            recovery_delay_ms: ms(&recovery.recovery_delay),
            lock_period_ms: ms(&recovery.lock_period),
            change_delay_ms: ms(&recovery.change_delay),
            change_window_ms: ms(&recovery.change_window),
            dm_policy: DirectPolicy::from_wire(pairing.dm_policy()),
            group_policy: GroupPolicy::from_wire(pairing.group_policy()),
            session_idle_ms: ms(&sessions.idle_limit),
            session_absolute_ms: ms(&sessions.absolute_limit),
            max_sessions: sessions.max_sessions,
            require_mfa: sessions.require_mfa.unwrap_or_default(),
            require_passkey: sessions.require_passkey.unwrap_or_default(),
            step_up_lifetime_ms: ms(&sessions.step_up_lifetime),
            email_change_delay_ms: ms(&sessions.email_change_delay),
            transcript_retention_ms: ms(&vault.transcript_retention),
            kept_versions: vault.kept_versions,
            argon2_memory_mib: vault.argon2_memory_mib,
            argon2_passes: vault.argon2_passes,
            backup_delay_ms: ms(&vault.backup_delay),
            hardware_delay_ms: ms(&vault.hardware_delay),
        },
        policy_version: from.policy_version,
    })
}

fn user(from: pb::User) -> Result<User, ClientError> {
    Ok(User {
        id: id(&from.user_id, "user_id")?,
        email: from.email,
        role: from.role_id,
        created_at: from.created_at.as_ref().map(time),
        second_factor: !from.factors.is_empty(),
    })
}

#[cfg(test)]
mod tests;
