//! What a key may do: each scope opens what it says, and no other; nothing opens what asks for somebody who is there.

use ocmt_types::{ContainerId, Digest32, GroupId, SessionId, VaultId};

use super::{ask, made, reason};
use crate::{
    ActorError, Caller,
    api::{
        audit::{ExportAudit, GetCheckpoint, ProveConsistency, ProveInclusion, QueryAudit},
        auth::{LinkPurpose, ListSessions, RevokeOtherSessions, RevokeSession, SignOut, WhoAmI},
        container::{
            CreateContainer, ExplainIdle, GetCellKey, GetContainer, HoldContainer, IssueGatewayToken,
            ListContainers, PauseContainer, RemoveContainer, StartContainer, StopContainer,
        },
        email_change::RequestEmailChange,
        factors::BeginTotpEnrollment,
        groups::{AddMember, CreateGroup, GetGroup, ListGroups, ListResources},
        keys::{ListApiKeys, RevokeApiKey},
        pairing::{CheckSender, ConversationScope, ListPairedSenders, ListPendingPairings},
        schedule::ListSchedules,
        tenant::{CreateTenant, GetQuota, GetTenant},
        users::{
            CreateRole, GetIdentityKey, InviteUser, ListRoles, ListUsers, RemoveUser, Role, RoleId, SetRole,
        },
        vault::{BatchGetEntries, GetEntry, GetKeySlots, GetVault, ListEntries},
    },
    authorize::{GroupRole, KEY_SCOPES},
    host::tests::spec,
    tests::{
        kit::{Kit, Person},
        programs::owner,
    },
};

/// What there is to ask about.
struct World {
    kit: Kit,
    ann: Person,
    vault: VaultId,
    object: Digest32,
    group: GroupId,
    container: ContainerId,
}

fn all() -> ListContainers {
    ListContainers { user: None, after: None, limit: 0 }
}

impl World {
    async fn new(kit: Kit) -> Self {
        let ann = kit.founder("ann@example.com").await;
        let open = owner(&kit, &ann).await;
        let group = CreateGroup { name: "ops".to_owned() };
        let group = kit.call(&ann.caller, group).await.unwrap().id;
        let create = CreateContainer { user: None, spec: spec(), start: false };
        let container = kit.call(&ann.caller, create).await.unwrap().container.id;
        let object = ocmt_crypto::object::keyring_id();
        Self { vault: open.scope().vault, kit, ann, object, group, container }
    }

    /// Asks what scopes open (starting a container apart: there are no cells here); what is answered, by the scope and
    /// the name of what was asked.
    async fn opened_to(&self, caller: &Caller) -> Vec<(&'static str, &'static str)> {
        let mut opened = Vec::new();
        macro_rules! ask {
            ($($scope:literal $name:literal => $request:expr;)+) => {
                $(match self.kit.call(caller, $request).await {
                    Ok(_) => opened.push(($scope, $name)),
                    // a state that does not allow it is told to who may do it alone
                    Err(ActorError::FailedPrecondition { .. } | ActorError::AlreadyExists(_)) => {
                        opened.push(($scope, $name));
                    }
                    Err(refused) => assert_eq!(refused.reason(), "PERMISSION_DENIED", "{}: {refused}", $name),
                })+
            };
        }
        let Self { vault, object, group, container, ann, .. } = self;
        let (vault, object, group, container, user) = (*vault, *object, *group, *container, ann.user);
        ask! {
            "tenant.read" "GetTenant" => GetTenant;
            "tenant.read" "GetQuota" => GetQuota::default();
            "user.list" "ListUsers" => ListUsers::default();
            "user.read_identity" "GetIdentityKey" => GetIdentityKey { user };
            "role.list" "ListRoles" => ListRoles::default();
            "audit.read" "the tenant's trail" => QueryAudit::default();
            "audit.read" "GetCheckpoint" => GetCheckpoint;
            "audit.read" "ExportAudit" => ExportAudit;
            "audit.read" "ProveInclusion" => ProveInclusion { sequence: 1, size: 0 };
            "audit.read" "ProveConsistency" => ProveConsistency { old: 1, new: 0 };
            "audit.read" "one's own trail" => QueryAudit { user: Some(user), ..QueryAudit::default() };
            "vault.read" "GetVault" => GetVault { vault: Some(vault) };
            "vault.read" "one's own vault" => GetVault { vault: None };
            "vault.read" "ListEntries" => ListEntries { vault, after: None, limit: 0 };
            "vault.read" "GetEntry" => GetEntry { vault, object, version: 0 };
            "vault.read" "BatchGetEntries" => BatchGetEntries { vault, objects: vec![object] };
            "group.list" "ListGroups" => ListGroups::default();
            "group.read" "GetGroup" => GetGroup { group };
            "group.read" "ListResources" => ListResources { group, after: None, limit: 0 };
            "pairing.read" "ListPendingPairings" => ListPendingPairings::default();
            "pairing.read" "ListPairedSenders" => ListPairedSenders::default();
            "pairing.check" "CheckSender" => CheckSender {
                container,
                channel: "telegram".to_owned(),
                sender: "4711".to_owned(),
                scope: ConversationScope::Direct,
                display_name: String::new(),
                asked_by: Digest32([1; 32]),
            };
            "container.read" "GetContainer" => GetContainer { container };
            "container.read" "ListContainers" => all();
            "container.read" "ExplainIdle" => ExplainIdle { container };
            "container.read" "ListSchedules" => ListSchedules { container, after: None, limit: 0 };
            "container.use" "PauseContainer" => PauseContainer { container };
            "container.use" "StopContainer" => StopContainer { container, grace: std::time::Duration::ZERO };
            "container.create" "CreateContainer" => CreateContainer { user: None, spec: spec(), start: false };
        }
        opened
    }
}

async fn each_scope_opens_what_it_says_and_no_other(kit: Kit) {
    let world = World::new(kit).await;
    let everything = world.opened_to(&world.ann.caller).await;
    for scope in KEY_SCOPES {
        let key = made(&world.kit, &world.ann, &[scope]).await;
        let own: Vec<_> = everything.iter().copied().filter(|(of, _)| *of == scope).collect();
        assert_eq!(world.opened_to(&key.caller).await, own, "{scope}");
        assert_eq!(own.is_empty(), scope == "container.hold", "{scope} is not asked for here");
    }
    let key = made(&world.kit, &world.ann, &KEY_SCOPES).await;
    assert_eq!(world.opened_to(&key.caller).await, everything);
    // what is held is not let go by a key
    let hold = HoldContainer { container: world.container, reason: "odd".to_owned() };
    world.kit.call(&key.caller, hold.clone()).await.unwrap();
    let key = made(&world.kit, &world.ann, &["container.use"]).await;
    assert_eq!(reason(world.kit.call(&key.caller, hold).await), "PERMISSION_DENIED");
}

#[tokio::test]
async fn each_scope_opens_what_it_says_and_no_other_on_sim() {
    each_scope_opens_what_it_says_and_no_other(Kit::sim().await).await;
}

#[tokio::test]
async fn each_scope_opens_what_it_says_and_no_other_on_sqlite() {
    each_scope_opens_what_it_says_and_no_other(Kit::sqlite().await).await;
}

#[tokio::test]
async fn no_key_makes_credentials_gives_rights_or_stands_in_for_who_is_there() {
    let world = World::new(Kit::sim().await).await;
    let (kit, ann, container) = (&world.kit, &world.ann, world.container);
    let key = made(kit, ann, &KEY_SCOPES).await;
    let by = &key.caller;
    macro_rules! refused {
        ($($request:expr;)+) => {
            $(assert_eq!(reason(kit.call(by, $request).await), "PERMISSION_DENIED", "{}", stringify!($request));)+
        };
    }
    refused! {
        ask(&["vault.read"]);
        ListApiKeys::default();
        RevokeApiKey { key: key.issued.key.id };
        ListSessions;
        RevokeOtherSessions::default();
        RevokeSession { session: session(ann) };
        SignOut;
        BeginTotpEnrollment;
        RequestEmailChange { new_email: "other@example.com".to_owned() };
        GetKeySlots { vault: None, kind: None, claim: None };
        GetKeySlots { vault: Some(world.vault), kind: None, claim: None };
        InviteUser { email: "eve@example.com".to_owned(), role: Role::Member.into() };
        SetRole { user: ann.user, role: Role::Owner.into() };
        RemoveUser { user: ann.user };
        AddMember { group: world.group, user: ann.user, role: GroupRole::Admin };
        GetCellKey { container };
        IssueGatewayToken { container, lifetime: None };
        RemoveContainer { container, delete_volume: false };
    }
    let stream = kit.system.tenant(ann.tenant).open_stream(by, kit.deadline()).await;
    assert_eq!(stream.err().unwrap().reason(), "UNAUTHENTICATED");
    let other = CreateTenant { name: "another".to_owned() };
    assert_eq!(reason(kit.system.create_tenant(by.clone(), kit.meta(), other).await), "PERMISSION_DENIED");
    assert_eq!(reason(kit.system.list_tenants(by.clone(), kit.meta()).await), "PERMISSION_DENIED");
    // and all of it is as it was
    assert_eq!(super::keys_of(kit, ann).await.len(), 1);
    kit.call(&ann.caller, WhoAmI).await.unwrap();
}

fn session(person: &Person) -> SessionId {
    person.caller.user().unwrap().session
}

#[tokio::test]
async fn a_key_does_no_more_than_its_user_may_at_that_moment() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let bob = kit.member(&ann, "bob@example.com", Role::Admin).await;
    let key = made(&kit, &bob, &KEY_SCOPES).await;
    let (trail, containers) = (QueryAudit::default(), all());
    kit.call(&key.caller, trail.clone()).await.unwrap();
    let set = async |role: RoleId| kit.call(&ann.caller, SetRole { user: bob.user, role }).await.unwrap();
    set(Role::Observer.into()).await;
    assert_eq!(reason(kit.call(&key.caller, trail.clone()).await), "PERMISSION_DENIED");
    assert_eq!(reason(kit.call(&key.caller, containers.clone()).await), "PERMISSION_DENIED");
    let own = QueryAudit { user: Some(bob.user), ..QueryAudit::default() };
    kit.call(&key.caller, own).await.expect("one's own trail is everybody's to read");
    let of_ann = QueryAudit { user: Some(ann.user), ..QueryAudit::default() };
    assert_eq!(reason(kit.call(&key.caller, of_ann).await), "PERMISSION_DENIED");
    let permissions = vec!["container.read".to_owned()];
    let role = CreateRole { id: "looks".to_owned(), base: Role::Admin, permissions };
    kit.call(&ann.caller, role).await.unwrap();
    set(RoleId::Custom("looks".to_owned())).await;
    kit.call(&key.caller, containers.clone()).await.unwrap();
    assert_eq!(reason(kit.call(&key.caller, GetTenant).await), "PERMISSION_DENIED");
    // what comes with a stronger role comes as far as the scopes go
    let narrow = made(&kit, &ann, &["container.read"]).await;
    set(Role::Owner.into()).await;
    kit.call(&key.caller, trail).await.unwrap();
    assert_eq!(reason(kit.call(&narrow.caller, GetTenant).await), "PERMISSION_DENIED");
}

#[tokio::test]
async fn to_a_key_what_is_anothers_is_not_there() {
    let world = World::new(Kit::sim().await).await;
    let kit = &world.kit;
    let bob = kit.member(&world.ann, "bob@example.com", Role::Member).await;
    let eve = kit.founder("eve@example.com").await;
    for (other, foreign) in [(&bob, false), (&eve, true)] {
        let key = made(kit, other, &KEY_SCOPES).await;
        for by in [&other.caller, &key.caller] {
            let asked = [
                reason(kit.call(by, GetVault { vault: Some(world.vault) }).await),
                reason(kit.call(by, GetEntry { vault: world.vault, object: world.object, version: 0 }).await),
                reason(kit.call(by, GetContainer { container: world.container }).await),
                reason(kit.call(by, StartContainer { container: world.container }).await),
                reason(kit.call(by, GetGroup { group: world.group }).await),
            ];
            assert_eq!(asked, [const { "NOT_FOUND" }; 5], "of another tenant: {foreign}");
        }
        // nor does a narrow key learn of it
        let narrow = made(kit, other, &["tenant.read"]).await;
        let asked = kit.call(&narrow.caller, GetContainer { container: world.container }).await;
        assert_eq!(asked.unwrap_err(), ActorError::NotFound);
    }
    // a tenant's actor answers nobody of another tenant
    let key = made(kit, &eve, &KEY_SCOPES).await;
    let elsewhere = kit.system.tenant(world.ann.tenant).call(key.caller.clone(), kit.meta(), GetTenant).await;
    assert_eq!(elsewhere.unwrap_err(), ActorError::NotFound);
    // a member of a group has by a key what the group gives, and no more
    let member = AddMember { group: world.group, user: bob.user, role: GroupRole::Observer };
    kit.call(&world.ann.caller, member).await.unwrap();
    let bob = kit.sign_in(&bob, LinkPurpose::SignIn).await;
    let key = made(kit, &bob, &["group.read", "container.use"]).await;
    kit.call(&key.caller, GetGroup { group: world.group }).await.unwrap();
    let narrow = made(kit, &bob, &["container.use"]).await;
    assert_eq!(reason(kit.call(&narrow.caller, GetGroup { group: world.group }).await), "PERMISSION_DENIED");
}
