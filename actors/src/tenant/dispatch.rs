//! From a call to the work that answers it: one line per method.
//!
//! `work!` puts the handler of the request type into the tenant's lane. Areas with an actor of
//! their own (vaults, ceremonies, containers) forward instead.

use ocmt_types::Timestamp;
use ractor::ActorRef;

use super::{
    TenantMessage, TenantState,
    ceremony::{self, CeremonyMessage},
    vault::{self, VaultMessage},
};
use crate::{
    admission,
    api::{
        auth::AuthCall,
        passkeys::PasskeysCall,
        recovery::RecoveryCall,
        sso::SsoCall,
        tenant::{GetQuota, TenantCall},
        users::UsersCall,
        vault::VaultCall,
    },
    call::{Area, Incoming},
    error::ActorError,
    work::{self, Handle},
};

impl TenantState {
    pub(super) async fn dispatch(&mut self, myself: &ActorRef<TenantMessage>, area: Area) {
        let now = self.scope.env.now();
        self.quiet.touch(now);
        if let Err(error) = self.count(&area, now) {
            return area.refuse(error);
        }
        match area {
            Area::Auth(call) => self.auth(myself, call),
            Area::Passkeys(call) => self.passkeys(myself, call),
            Area::Sso(call) => self.sso(myself, call),
            Area::Tenant(call) => self.tenant(myself, call),
            Area::Users(call) => self.users(myself, call),
            Area::Groups(call) => self.groups(myself, call),
            Area::GroupVaults(call) => self.group_vaults(myself, call),
            Area::GroupUnlocks(call) => self.group_unlocks(myself, call),
            Area::Audit(call) => self.audit(myself, call),
            Area::Alerts(call) => self.alerts(myself, call),
            Area::Inbox(call) => self.inbox(myself, call),
            Area::Vault(call) => self.vault(myself, call).await,
            Area::Container(call) => self.container(myself, call),
            Area::Schedules(call) => self.schedules(myself, call),
            Area::Snapshots(call) => self.snapshots(myself, call),
            Area::Watches(call) => self.watches(myself, call),
            Area::Pairings(call) => self.pairings(myself, call),
            Area::Programs(call) => self.programs(myself, call),
            Area::Keys(call) => self.keys(myself, call),
            Area::Shares(call) => self.shares(myself, call),
            Area::Capabilities(call) => self.capabilities(myself, call),
            Area::Transcripts(call) => self.transcripts(myself, call),
            Area::Connections(call) => self.connections(myself, call),
            Area::Recovery(call) => self.recovery(myself, call).await,
        }
    }

    /// Counts a call, or refuses it. Strangers have bounds of their own, and operators none: neither uses up what is the
    /// tenant's. What stops a recovery is done in a tenant too whose calls are used up, and so is what comes before it.
    fn count(&mut self, area: &Area, now: Timestamp) -> Result<(), ActorError> {
        let (caller, method) = (area.caller(), area.method());
        if caller.person().is_none() && caller.program().is_none() || admission::stops(method) {
            return Ok(());
        }
        match self.calls.take(now) {
            Err(_) if admission::proves(method) => self.proofs.take(now),
            Err(_) if admission::looks(method) => self.looks.take(now),
            counted => counted,
        }
    }

    /// Puts a call's work into the tenant's lane.
    pub(super) fn work<C: Handle>(&mut self, myself: &ActorRef<TenantMessage>, call: Incoming<C>) {
        self.lane.push(myself, work::run(self.scope.clone(), call));
    }

    fn auth(&mut self, myself: &ActorRef<TenantMessage>, call: AuthCall) {
        match call {
            AuthCall::WhoAmI(call) => self.work(myself, call),
            AuthCall::ListSessions(call) => self.work(myself, call),
            AuthCall::RevokeSession(call) => self.work(myself, call),
            AuthCall::RevokeOtherSessions(call) => self.work(myself, call),
            AuthCall::BeginTotpEnrollment(call) => self.work(myself, call),
            AuthCall::ConfirmTotpEnrollment(call) => self.work(myself, call),
            AuthCall::RemoveTotp(call) => self.work(myself, call),
            AuthCall::RegenerateBackupCodes(call) => self.work(myself, call),
            AuthCall::CompleteMfa(call) => self.work(myself, call),
            AuthCall::StepUp(call) => self.work(myself, call),
            AuthCall::RequestEmailChange(call) => self.work(myself, call),
            AuthCall::ConfirmEmailChange(call) => self.work(myself, call),
            AuthCall::GetEmailChange(call) => self.work(myself, call),
            AuthCall::CancelEmailChange(call) => self.work(myself, call),
            AuthCall::SignOut(call) => self.work(myself, call),
            AuthCall::IssueLink(call) => self.work(myself, call),
            AuthCall::ConsumeLink(call) => self.work(myself, call),
            AuthCall::DescribeTo(call) => self.work(myself, call),
        }
    }

    fn passkeys(&mut self, myself: &ActorRef<TenantMessage>, call: PasskeysCall) {
        match call {
            PasskeysCall::BeginPasskeyRegistration(call) => self.work(myself, call),
            PasskeysCall::FinishPasskeyRegistration(call) => self.work(myself, call),
            PasskeysCall::BeginPasskeyAssertion(call) => self.work(myself, call),
            PasskeysCall::FinishPasskeyAssertion(call) => self.work(myself, call),
            PasskeysCall::ConsumePasskey(call) => self.work(myself, call),
            PasskeysCall::ListPasskeys(call) => self.work(myself, call),
            PasskeysCall::RemovePasskey(call) => self.work(myself, call),
        }
    }

    fn sso(&mut self, myself: &ActorRef<TenantMessage>, call: SsoCall) {
        match call {
            SsoCall::BeginSso(call) => self.work(myself, call),
            SsoCall::TakeState(call) => self.work(myself, call),
            SsoCall::FinishSso(call) => self.work(myself, call),
        }
    }

    fn tenant(&mut self, myself: &ActorRef<TenantMessage>, call: TenantCall) {
        match call {
            TenantCall::BeginFounding(call) => self.work(myself, call),
            TenantCall::GetTenant(call) => self.work(myself, call),
            TenantCall::UpdateTenantPolicy(call) => self.work(myself, call),
            TenantCall::InspectTenant(call) => self.work(myself, call),
            TenantCall::SuspendTenant(call) => self.work(myself, call),
            TenantCall::ResumeTenant(call) => self.work(myself, call),
            TenantCall::DeleteTenant(call) => self.work(myself, call),
            TenantCall::StopDeletion(call) => self.work(myself, call),
            TenantCall::GetQuota(call) => {
                let calls = self.calls.used(self.scope.env.now());
                self.work(myself, Incoming { request: GetQuota { calls }, ..call });
            }
            TenantCall::UpdateQuota(call) => self.work(myself, call),
            TenantCall::GetOidcProvider(call) => self.work(myself, call),
            TenantCall::SetOidcProvider(call) => self.work(myself, call),
            TenantCall::RemoveOidcProvider(call) => self.work(myself, call),
        }
    }

    fn users(&mut self, myself: &ActorRef<TenantMessage>, call: UsersCall) {
        match call {
            UsersCall::InviteUser(call) => self.work(myself, call),
            UsersCall::ConsumeInvite(call) => self.work(myself, call),
            UsersCall::ListUsers(call) => self.work(myself, call),
            UsersCall::SetRole(call) => self.work(myself, call),
            UsersCall::CreateRole(call) => self.work(myself, call),
            UsersCall::ListRoles(call) => self.work(myself, call),
            UsersCall::DeleteRole(call) => self.work(myself, call),
            UsersCall::RemoveUser(call) => self.work(myself, call),
            UsersCall::PublishIdentityKey(call) => self.work(myself, call),
            UsersCall::GetIdentityKey(call) => self.work(myself, call),
        }
    }

    /// Vaults: to the actor of the named vault; "my own" is found in the tenant's lane.
    async fn vault(&mut self, myself: &ActorRef<TenantMessage>, call: VaultCall) {
        let Some(vault) = vault::named(&call) else {
            return match call {
                VaultCall::GetVault(call) => self.work(myself, call),
                VaultCall::GetKeySlots(call) => self.work(myself, call),
                VaultCall::RefuseSlotRequest(call) => self.work(myself, call),
                named => named.refuse(ActorError::NotFound),
            };
        };
        match self.children.vault(myself, vault, &self.scope).await {
            // a vault's actor that has just stopped drops the call, which answers by itself
            Ok(actor) => drop(actor.cast(VaultMessage::Call(call))),
            Err(error) => call.refuse(error),
        }
    }

    /// Guardians and a guardian's acts in the tenant's lane; what owner and requester do in one ceremony, to
    /// its actor.
    async fn recovery(&mut self, myself: &ActorRef<TenantMessage>, call: RecoveryCall) {
        if let Some(ceremony) = ceremony::named(&call) {
            return match self.children.ceremony(myself, ceremony, &self.scope).await {
                // a ceremony's actor that has just stopped drops the call, which answers by itself
                Ok(actor) => drop(actor.cast(CeremonyMessage::Call(Box::new(call)))),
                Err(error) => call.refuse(error),
            };
        }
        match call {
            RecoveryCall::InviteGuardian(call) => self.work(myself, call),
            RecoveryCall::AcceptGuardianship(call) => self.work(myself, call),
            RecoveryCall::ResignGuardianship(call) => self.work(myself, call),
            RecoveryCall::GetGuardianship(call) => self.work(myself, call),
            RecoveryCall::ListGuardianships(call) => self.work(myself, call),
            RecoveryCall::DealShares(call) => self.work(myself, call),
            RecoveryCall::GetGuardianSet(call) => self.work(myself, call),
            RecoveryCall::ChallengeGuardian(call) => self.work(myself, call),
            RecoveryCall::ReportLostMailbox(call) => self.work(myself, call),
            RecoveryCall::AnswerChallenge(call) => self.work(myself, call),
            RecoveryCall::GetCeremony(call) => self.work(myself, call),
            RecoveryCall::ListCeremonies(call) => self.work(myself, call),
            RecoveryCall::WatchCeremonies(call) => self.work(myself, call),
            RecoveryCall::ApproveCeremony(call) => self.work(myself, call),
            RecoveryCall::DenyCeremony(call) => self.work(myself, call),
            RecoveryCall::VoiceDoubt(call) => self.work(myself, call),
            RecoveryCall::LockCeremony(call) => self.work(myself, call),
            RecoveryCall::OverrideStop(call) => self.work(myself, call),
            RecoveryCall::OpenCeremony(call) => self.work(myself, call),
            RecoveryCall::VetoCeremony(call) => self.work(myself, call),
            RecoveryCall::CancelCeremony(call) => self.work(myself, call),
            RecoveryCall::CollectShares(call) => self.work(myself, call),
            RecoveryCall::CompleteCeremony(call) => self.work(myself, call),
        }
    }
}
