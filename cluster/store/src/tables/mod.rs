//! The rows of every table, by area. A column is added here and in the migration; a test holds the two
//! against each other and prints the DDL that a row wants.

pub mod agent_policy;
pub mod alert;
pub mod api_key;
pub mod ceremony_event;
pub mod cluster;
pub mod container;
mod container_event;
pub mod deletion;
pub mod delivery;
pub mod directory;
pub mod egress;
pub mod email;
pub mod factor;
pub mod group_vault;
pub mod limits;
pub mod lost_mailbox;
pub mod oauth;
pub mod oncall;
pub mod operator;
pub mod pairing;
pub mod passkey;
pub mod program;
pub mod recovery;
pub mod schedule;
pub mod share;
pub mod snapshot;
pub mod sso;
pub mod team;
pub mod tenant;
pub mod trail;
pub mod transcript;
pub mod vault;

pub use agent_policy::AgentPolicyRow;
pub use alert::{AlertChannel, AlertGroup, AlertKind, AuditStream};
pub use api_key::ApiKeyRow;
pub use ceremony_event::CeremonyEvent;
pub use cluster::{Cluster, JoinedNode, Node, NodeLease, NodeState, RESTORE_STEP, RevokedNode, TenantOwner};
pub use container::{Container, ContainerState, DesiredState, HostMemory, VolumeFault};
pub use container_event::{ContainerEvent, ContainerEventKind, WakeCause};
pub use deletion::{DeletedTenant, Deletion};
pub use delivery::{Inbox, Notice, Outbox, Timer};
pub use directory::{Address, Signup};
pub use egress::{EgressPolicyRow, EgressUse};
pub use email::{EmailChange, EmailChangeState};
pub use factor::{BackupCode, Factor, FactorAttempts, TotpEnrollment};
pub use group_vault::{GroupCell, GroupCellUnlock, GroupPart, GroupVault, RotationDue, VaultMember};
pub use limits::{QuotaRow, Suspension, Usage};
pub use lost_mailbox::{FormerAddress, LostMailbox};
pub use oauth::{OauthConnection, OauthFlow};
pub use oncall::OperatorChannel;
pub use operator::{ActKind, DestructiveAct, JoinToken, Operator, SealingGeneration, SealingHolder};
pub use pairing::{PairedSender, Pairing};
pub use passkey::{Passkey, PasskeyChallenge, PasskeyEntry, PasskeySignIn, PasskeyWish};
pub use program::{ProgramGrant, ProgramPace, ProgramToken};
pub use recovery::{
    Approval, Ceremony, CeremonyPurpose, CeremonyRequest, CeremonyState, GuardianSet, GuardianSetState,
    GuardianshipIn, GuardianshipOut, GuardianshipState, Verdict,
};
pub use schedule::Schedule;
pub use share::{Capability, CapabilityState, Share, ShareGrant, ShareRight, ShareState, SharedWrite};
pub use snapshot::{Snapshot, SnapshotSchedule, SnapshotState};
pub use sso::{OidcIdentity, OidcLogin, OidcProvider};
pub use team::{CustomRole, Group, GroupMember, GroupResource, StoredGroupRole};
pub use tenant::{
    Assurance, Invite, Link, LinkPurpose, Session, Tenant, TenantState, User, UserRole, UserState,
};
pub use trail::{AuditHead, AuditLeaves, AuditNodes, AuditRetention, AuditRow, IdempotencyRow};
pub use transcript::{Conversation, TranscriptRecord};
pub use vault::{
    Handout, InboxState, ObjectBody, ObjectVersion, RotationMode, RotationObject, Slot, SlotKind,
    UnlockBudget, Vault, VaultChange, VaultChangeKind, VaultInboxItem, VaultObject,
};

use crate::kernel::row::{Row as _, Table};

/// Every table, in the order of the contract.
pub fn all() -> Vec<&'static Table> {
    let mut all = of_cluster();
    all.extend(of_tenants());
    all.extend([AlertChannel::table(), AlertGroup::table(), AuditStream::table()]);
    all.extend([AuditLeaves::table(), AuditRetention::table(), ProgramPace::table()]);
    all
}

fn of_cluster() -> Vec<&'static Table> {
    vec![
        Cluster::table(),
        Node::table(),
        NodeLease::table(),
        JoinedNode::table(),
        RevokedNode::table(),
        TenantOwner::table(),
        Operator::table(),
        JoinToken::table(),
        DestructiveAct::table(),
        SealingGeneration::table(),
        SealingHolder::table(),
        Address::table(),
        Signup::table(),
        PasskeyEntry::table(),
        PasskeySignIn::table(),
        OperatorChannel::table(),
    ]
}

/// Those of tenants, and what belongs beside them.
fn of_tenants() -> Vec<&'static Table> {
    let mut tables = vec![
        Tenant::table(),
        User::table(),
        Invite::table(),
        Link::table(),
        Session::table(),
        TotpEnrollment::table(),
        BackupCode::table(),
        FactorAttempts::table(),
        Passkey::table(),
        PasskeyChallenge::table(),
        EmailChange::table(),
        OidcProvider::table(),
        OidcLogin::table(),
        OidcIdentity::table(),
        Vault::table(),
        Slot::table(),
        VaultObject::table(),
        ObjectBody::table(),
        ObjectVersion::table(),
        VaultChange::table(),
        Handout::table(),
        UnlockBudget::table(),
        RotationObject::table(),
        VaultInboxItem::table(),
        Container::table(),
        AgentPolicyRow::table(),
        EgressPolicyRow::table(),
        EgressUse::table(),
        HostMemory::table(),
        Timer::table(),
        Outbox::table(),
        Inbox::table(),
        Notice::table(),
        GuardianSet::table(),
        GuardianshipOut::table(),
        GuardianshipIn::table(),
        Ceremony::table(),
        Approval::table(),
        CeremonyRequest::table(),
        AuditRow::table(),
        AuditHead::table(),
        AuditNodes::table(),
        IdempotencyRow::table(),
        CustomRole::table(),
        Group::table(),
        GroupMember::table(),
        GroupResource::table(),
        Pairing::table(),
        PairedSender::table(),
        QuotaRow::table(),
        Usage::table(),
        Suspension::table(),
        Deletion::table(),
        DeletedTenant::table(),
        ProgramToken::table(),
        ProgramGrant::table(),
        ApiKeyRow::table(),
        Share::table(),
        ShareGrant::table(),
        Capability::table(),
    ];
    tables.extend(what_comes_and_goes());
    tables
}

/// What people and their agents do: conversations, connections, events.
fn what_comes_and_goes() -> Vec<&'static Table> {
    vec![
        Conversation::table(),
        TranscriptRecord::table(),
        OauthFlow::table(),
        OauthConnection::table(),
        Schedule::table(),
        ContainerEvent::table(),
        CeremonyEvent::table(),
        Snapshot::table(),
        SnapshotSchedule::table(),
        GroupVault::table(),
        VaultMember::table(),
        ShareRight::table(),
        SharedWrite::table(),
        GroupPart::table(),
        GroupCell::table(),
        GroupCellUnlock::table(),
        LostMailbox::table(),
        FormerAddress::table(),
    ]
}
