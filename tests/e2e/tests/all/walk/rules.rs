//! Who may call what: one line for each method of the contract that is served. A method without a line fails the walk.

/// The least that a caller has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Least {
    /// Anybody: it is called in order to get a credential.
    Anybody,
    /// Whoever is signed in.
    Observer,
    /// Has a container.
    Member,
    /// Sees to the tenant's people.
    Admin,
    /// Sets roles and policy.
    Owner,
    /// An operator, on the operator listener; on the client listener nobody.
    Operator,
}

/// What a session that a recovery link gave may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InRecovery {
    /// It is refused.
    Refused,
    /// It is refused, and the request is about an object that is nobody's of this tenant: not found, as for everybody.
    Unfound,
    /// It is refused, and the request as well, before anybody looks at who asks.
    Malformed,
    /// It may.
    May,
}

/// One method.
pub(super) struct Rule {
    pub(super) path: &'static str,
    pub(super) least: Least,
    pub(super) recovery: InRecovery,
}

use InRecovery::{Malformed, May, Refused, Unfound};
use Least::{Admin, Anybody, Member, Observer, Operator, Owner};

macro_rules! rules {
    ($($service:ident { $($method:ident $least:ident $recovery:ident),+ $(,)? })+) => {
        &[$($(Rule {
            path: concat!("/ocmt.v1.", stringify!($service), "/", stringify!($method)),
            least: $least,
            recovery: $recovery,
        }),+),+]
    };
}

/// What an API key may call, and the scope that it has to have for it; "" for none. Everything else refuses every key.
pub(super) const BY_KEY: [(&str, &str); 32] = [
    ("/ocmt.v1.AuthService/WhoAmI", ""),
    ("/ocmt.v1.TenantService/GetTenant", "tenant.read"),
    ("/ocmt.v1.TenantService/GetQuota", "tenant.read"),
    ("/ocmt.v1.TenantService/GetOidcProvider", "tenant.read"),
    ("/ocmt.v1.UserService/ListUsers", "user.list"),
    ("/ocmt.v1.UserService/ListRoles", "role.list"),
    ("/ocmt.v1.UserService/GetIdentityKey", "user.read_identity"),
    ("/ocmt.v1.GroupService/GetGroup", "group.read"),
    ("/ocmt.v1.GroupService/ListGroups", "group.list"),
    ("/ocmt.v1.GroupService/ListResources", "group.read"),
    ("/ocmt.v1.AuditService/QueryAudit", "audit.read"),
    ("/ocmt.v1.AuditService/ExportAudit", "audit.read"),
    ("/ocmt.v1.AuditService/GetCheckpoint", "audit.read"),
    ("/ocmt.v1.AuditService/ProveInclusion", "audit.read"),
    ("/ocmt.v1.AuditService/ProveConsistency", "audit.read"),
    ("/ocmt.v1.VaultService/GetVault", "vault.read"),
    ("/ocmt.v1.VaultService/ListEntries", "vault.read"),
    ("/ocmt.v1.VaultService/GetEntry", "vault.read"),
    ("/ocmt.v1.VaultService/BatchGetEntries", "vault.read"),
    ("/ocmt.v1.ContainerService/CreateContainer", "container.create"),
    ("/ocmt.v1.ContainerService/GetContainer", "container.read"),
    ("/ocmt.v1.ContainerService/ListContainers", "container.read"),
    ("/ocmt.v1.ContainerService/ExplainIdle", "container.read"),
    ("/ocmt.v1.ContainerService/ListSchedules", "container.read"),
    ("/ocmt.v1.ContainerService/StartContainer", "container.use"),
    ("/ocmt.v1.ContainerService/WakeContainer", "container.use"),
    ("/ocmt.v1.ContainerService/PauseContainer", "container.use"),
    ("/ocmt.v1.ContainerService/StopContainer", "container.use"),
    ("/ocmt.v1.ContainerService/HoldContainer", "container.hold"),
    ("/ocmt.v1.PairingService/CheckSender", "pairing.check"),
    ("/ocmt.v1.PairingService/ListPendingPairings", "pairing.read"),
    ("/ocmt.v1.PairingService/ListPairedSenders", "pairing.read"),
];

/// The table. A caller that is new (as an API key was: [`BY_KEY`]) is a column more here, or a list beside it, and a walk
/// more beside the others.
pub(super) const RULES: &[Rule] = rules! {
    AuthService {
        SignUp Anybody May,
        RequestMagicLink Anybody May,
        ExchangeMagicLink Anybody May,
        StepUp Observer Refused,
        WhoAmI Observer May,
        ListSessions Observer Refused,
        RevokeSession Observer Refused,
        RevokeOtherSessions Observer Refused,
        SignOut Observer May,
        CompleteMfa Observer Refused,
        BeginTotpEnrollment Observer Refused,
        ConfirmTotpEnrollment Observer Refused,
        RemoveTotp Observer Refused,
        RegenerateBackupCodes Observer Refused,
        BeginPasskeyRegistration Observer Refused,
        FinishPasskeyRegistration Observer Refused,
        // without a session it is a sign-in
        BeginPasskeyAssertion Anybody May,
        FinishPasskeyAssertion Anybody May,
        ListPasskeys Observer Refused,
        BeginOidcLogin Anybody May,
        FinishOidcLogin Anybody May,
        RemovePasskey Observer Unfound,
        RequestEmailChange Observer Refused,
        ConfirmEmailChange Observer Refused,
        GetEmailChange Observer Refused,
        CancelEmailChange Observer Refused,
        CreateApiKey Observer Refused,
        ListApiKeys Observer Refused,
        RevokeApiKey Observer Refused,
    }
    TenantService {
        ListInbox Observer Refused,
        WatchInbox Observer Refused,
        CreateTenant Observer Refused,
        GetTenant Observer Refused,
        GetQuota Observer Refused,
        // the names of one's own tenants: who signs in has to choose
        ListTenants Observer May,
        UpdateTenantPolicy Owner Refused,
        GetOidcProvider Observer Refused,
        SetOidcProvider Owner Refused,
        RemoveOidcProvider Owner Refused,
        UpdateQuota Operator Refused,
        SuspendTenant Operator Refused,
        DeleteTenant Owner Refused,
        ResumeTenant Owner Refused,
    }
    UserService {
        InviteUser Admin Refused,
        AcceptInvite Anybody May,
        ListUsers Observer Refused,
        SetRole Owner Refused,
        RemoveUser Admin Refused,
        PublishIdentityKey Observer Refused,
        GetIdentityKey Observer Refused,
        CreateRole Owner Refused,
        ListRoles Observer Refused,
        DeleteRole Owner Refused,
    }
    GroupService {
        CreateGroup Member Refused,
        GetGroup Observer Refused,
        ListGroups Observer Refused,
        DeleteGroup Member Refused,
        AddMember Member Refused,
        RemoveMember Observer Refused,
        SetMemberRole Member Refused,
        CreateResource Member Refused,
        ListResources Observer Refused,
        DeleteResource Member Refused,
        GetGroupVault Observer Refused,
        AcceptGroupVault Member Refused,
        AdmitToGroupVault Member Refused,
        OpenGroupUnlock Member Refused,
        GetGroupUnlock Member Refused,
        ListGroupUnlocks Member Refused,
        ApproveGroupUnlock Member Refused,
        DenyGroupUnlock Member Refused,
        CancelGroupUnlock Member Refused,
        CollectGroupUnlock Member Refused,
        AppointGroupCell Member Refused,
        DismissGroupCell Member Refused,
        GetGroupCell Member Refused,
        GetGroupCellKey Member Refused,
        OpenGroupCell Member Refused,
    }
    PairingService {
        CheckSender Member Refused,
        ListPendingPairings Member Refused,
        ApprovePairing Member Refused,
        RejectPairing Member Refused,
        ListPairedSenders Member Refused,
        RevokePairedSender Member Refused,
    }
    VaultService {
        CreateVault Observer Refused,
        GetVault Observer Refused,
        ListEntries Observer Refused,
        GetEntry Observer Refused,
        PutEntry Observer Refused,
        DeleteEntry Observer Refused,
        BatchGetEntries Observer Refused,
        BatchPutEntries Observer Refused,
        WatchVault Observer Refused,
        ListInboxItems Observer Refused,
        FileInboxItems Observer Refused,
        ListSharedWrites Observer Refused,
        FileSharedWrites Observer Refused,
        GetKeySlots Observer Refused,
        ReportUnlock Observer Refused,
        RefuseSlotRequest Observer Refused,
        AddKeySlot Observer Refused,
        RemoveKeySlot Observer Refused,
        BeginRotation Observer Refused,
        PutRewrappedKeys Observer Refused,
        ListStagedObjects Observer Refused,
        FinishRotation Observer Refused,
    }
    ContainerService {
        CreateContainer Member Refused,
        GetContainer Member Refused,
        ListContainers Member Refused,
        StartContainer Member Refused,
        PauseContainer Member Refused,
        StopContainer Member Refused,
        WakeContainer Member Refused,
        RemoveContainer Member Refused,
        HoldContainer Member Refused,
        ReleaseContainer Admin Refused,
        ExplainIdle Member Refused,
        PutSchedule Member Refused,
        ListSchedules Member Refused,
        DeleteSchedule Member Refused,
        GetSnapshotCellKey Member Refused,
        CreateSnapshot Member Refused,
        ListSnapshots Member Refused,
        RestoreSnapshot Member Refused,
        DeleteSnapshot Observer Unfound,
        PutSnapshotSchedule Member Refused,
        GetSnapshotSchedule Member Refused,
        DeleteSnapshotSchedule Member Refused,
        WatchContainers Member Refused,
        WatchUnlockRequests Member Refused,
        GetCellKey Member Refused,
        UnlockCell Member Refused,
        ExtendUnlock Member Refused,
        LockCell Member Refused,
        GetEgressPolicy Member Refused,
        PutEgressPolicy Owner Refused,
        GetAgentPolicy Member Refused,
        PutAgentPolicy Owner Refused,
        IssueGatewayToken Member Refused,
        OpenChannel Member Refused,
    }
    OAuthService {
        BeginAuthorization Member Refused,
        FinishAuthorization Member Refused,
        ListConnections Member Refused,
        Disconnect Observer Unfound,
    }
    RecoveryService {
        InviteGuardian Observer Refused,
        AcceptGuardianship Observer Unfound,
        ResignGuardianship Observer Refused,
        ListGuardianships Observer May,
        DealShares Observer Refused,
        GetGuardianSet Observer May,
        ReportLostMailbox Observer Unfound,
        OpenCeremony Observer May,
        GetCeremony Observer May,
        ListCeremonies Observer May,
        ApproveCeremony Observer Unfound,
        DenyCeremony Observer Unfound,
        VoiceDoubt Observer Unfound,
        LockCeremony Observer Unfound,
        VetoCeremony Observer Refused,
        OverrideStop Observer Unfound,
        WatchCeremonies Observer May,
        CancelCeremony Observer May,
        CollectShares Observer May,
        CompleteCeremony Observer May,
        ChallengeGuardian Observer Malformed,
        AnswerChallenge Observer Unfound,
    }
    TranscriptService {
        OpenConversation Observer Refused,
        AppendTranscript Observer Refused,
        ReadTranscript Observer Refused,
        ListConversations Observer Refused,
        DeleteConversation Observer Refused,
    }
    AlertService {
        PutChannel Owner Refused,
        ListChannels Admin Refused,
        DeleteChannel Owner Refused,
        SendTestAlert Admin Refused,
    }
    AuditService {
        // one's own
        QueryAudit Observer Refused,
        ExportAudit Admin Refused,
        GetCheckpoint Admin Refused,
        ProveInclusion Admin Refused,
        ProveConsistency Admin Refused,
        WatchAudit Observer Refused,
        SetAuditStream Owner Refused,
        GetAuditStream Admin Refused,
        RemoveAuditStream Owner Refused,
        SetAuditRetention Owner Refused,
        GetAuditRetention Admin Refused,
    }
    ShareService {
        CreateShare Observer Refused,
        // what waits for the taker of the owner's share is not the owner's
        AcceptShare Observer Unfound,
        ListShares Observer Refused,
        RevokeShare Observer Refused,
        // nor does the owner send by what was given to the taker
        SendSharedWrite Observer Unfound,
        RequestCapability Observer Refused,
        ListCapabilities Observer Refused,
        ApproveCapability Observer Refused,
        DenyCapability Observer Refused,
        CreateProgramToken Observer Refused,
        RevokeProgramToken Observer Refused,
        ReleaseProgramToken Observer Refused,
    }
    ClusterService {
        CreateJoinToken Operator Refused,
        JoinCluster Anybody May,
        RevokeNode Operator Refused,
        ForgetNode Operator Refused,
        ListNodes Operator Refused,
        DescribePlacement Operator Refused,
        DrainNode Operator Refused,
        ResumeNode Operator Refused,
        MoveTenant Operator Refused,
        AcceptRestore Operator Refused,
        WatchCluster Operator Refused,
    }
    OperatorService {
        BeginDestructiveAct Operator Refused,
        ConfirmDestructiveAct Operator Refused,
        CreateOperator Operator Refused,
        ListOperators Operator Refused,
        RevokeOperator Operator Refused,
    }
};
