//! Operators suspend a tenant and serve it again, from any node; and see nothing of what is in it.

use std::time::Duration;

use ocmt_types::{OperatorId, TenantId};
use tokio::time::timeout;

use super::{
    kit::{Kit, Person, until},
    post, timers, vault,
};
use crate::{
    ActingOperator, ActorError, Caller, OperatorAct, OperatorAnswer, StreamEnd,
    api::{
        audit::QueryAudit,
        auth::{LinkPurpose, ListSessions, WhoAmI},
        container::{GetContainer, ListContainers},
        tenant::{GetQuota, GetTenant, ResumeTenant, SuspendTenant, TenantState},
        users::{GetIdentityKey, ListUsers, Role},
        vault::{BatchGetEntries, GetEntry, GetKeySlots, GetVault, ListEntries},
    },
    letter::{self, LinkWanted, WatchSession},
    tenant::TenantMessage,
};

pub(crate) fn operator() -> OperatorId {
    ocmt_store::testing::id(77)
}

/// An act of an operator at this node.
pub(crate) async fn operate(
    kit: &Kit,
    tenant: TenantId,
    act: OperatorAct,
) -> Result<OperatorAnswer, ActorError> {
    let acting = ActingOperator { operator: operator(), request: kit.request(), idempotency: None };
    kit.system.administer(tenant, acting, act, Duration::from_secs(10)).await
}

pub(crate) async fn suspend(kit: &Kit, tenant: TenantId) {
    let act = OperatorAct::Suspend { reason: "a test".to_owned() };
    assert_eq!(state(operate(kit, tenant, act).await.unwrap()), TenantState::Suspended);
}

pub(crate) async fn resume(kit: &Kit, tenant: TenantId) {
    assert_eq!(state(operate(kit, tenant, OperatorAct::Resume).await.unwrap()), TenantState::Active);
}

fn state(answer: OperatorAnswer) -> TenantState {
    match answer {
        OperatorAnswer::Tenant(info) => info.state,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_suspended_tenant_refuses_everybody_and_forgets_nothing() {
    for kit in [Kit::sim().await, Kit::sqlite().await] {
        let ann = kit.founder("ann@example.com").await;
        let bob = kit.member(&ann, "bob@example.com", Role::Member).await;
        let link = kit.link(&bob.email, LinkPurpose::SignIn).await;
        suspend(&kit, ann.tenant).await;
        suspend(&kit, ann.tenant).await;
        for person in [&ann, &bob] {
            let refused = kit.call(&person.caller, WhoAmI).await.unwrap_err();
            assert_eq!(refused.reason(), "TENANT_SUSPENDED");
            let refused = kit.authenticate(&person.token).await.unwrap_err();
            assert_eq!(refused.reason(), "TENANT_SUSPENDED");
            let stream = kit.system.tenant(ann.tenant).open_stream(&person.caller, kit.deadline()).await;
            assert_eq!(stream.err().unwrap().reason(), "UNAUTHENTICATED");
        }
        let forged = kit.authenticate(&format!("{}x", ann.token)).await.unwrap_err();
        assert_eq!(forged.reason(), "UNAUTHENTICATED", "who shows no good session learns nothing");
        assert_eq!(kit.exchange(&link).await.err().unwrap().reason(), "TENANT_SUSPENDED");
        let wanted = letter::send(&kit.system.env, ann.tenant, wish(&kit, &bob), kit.deadline()).await;
        assert!(wanted.unwrap().is_none(), "a link was given while it was suspended");
        resume(&kit, ann.tenant).await;
        kit.call(&ann.caller, WhoAmI).await.unwrap();
        kit.authenticate(&bob.token).await.unwrap();
        kit.exchange(&link).await.expect("a link that was not used up is good again");
        let page = kit.call(&ann.caller, QueryAudit::default()).await.unwrap();
        let by_operator = |record: &&crate::api::audit::AuditEntry| record.actor.starts_with("operator/");
        let acts: Vec<_> = page.records.iter().filter(by_operator).map(|r| r.method.as_str()).collect();
        let told =
            ["TenantService/SuspendTenant", "TenantService/SuspendTenant", "TenantService/ResumeTenant"];
        assert!(told.iter().all(|method| acts.contains(method)), "{acts:?}");
        let id = format!("operator/{}", operator().to_string().replace('-', ""));
        assert!(
            page.records.iter().any(|record| record.actor == id),
            "the same id as in the cluster's chain"
        );
    }
}

fn wish(kit: &Kit, person: &Person) -> LinkWanted {
    LinkWanted {
        request: kit.request(),
        email: person.email.clone(),
        purpose: LinkPurpose::SignIn,
        binding_hash: super::kit::binding().1.0,
    }
}

#[tokio::test]
async fn streams_end_by_themselves_whichever_node_they_are_at_and_the_operator_is_at() {
    let a = Kit::sim().await;
    let b = a.beside(2).await;
    let ann = a.founder("ann@example.com").await;
    let mut stream = a.system.tenant(ann.tenant).open_stream(&ann.caller, a.deadline()).await.unwrap();
    // a connection at the other node is held by a letter of its own
    let session = ann.caller.user().unwrap().session;
    let watch = WatchSession { session, used: false, hold_ms: 20_000 };
    let (env, deadline) = (b.system.env.clone(), b.deadline());
    let tenant = ann.tenant;
    let mut held = tokio::task::JoinSet::new();
    held.spawn(async move { letter::send(&env, tenant, watch, deadline).await });
    suspend(&b, ann.tenant).await;
    // half of what the letter is held for
    let soon = Duration::from_secs(10);
    assert_eq!(timeout(soon, stream.over()).await.expect("it goes on"), StreamEnd::SessionOver);
    let told = timeout(soon, held.join_next()).await.expect("it is held").unwrap().unwrap();
    assert!(!told.unwrap(), "the other node is told that the session is over");
}

#[tokio::test]
async fn what_others_send_meanwhile_is_taken_afterwards() {
    let kit = Kit::sim().await;
    let (ann, bob) = (kit.founder("ann@example.com").await, kit.founder("bob@example.com").await);
    suspend(&kit, bob.tenant).await;
    post::send(&kit, ann.tenant, bob.tenant, b"later").await;
    until("it is tried", async || post::attempts(&kit, ann.tenant).await.is_some_and(|n| n > 0)).await;
    assert_eq!((post::effects(&kit, bob.tenant).await, post::answers(ann.tenant).len()), (0, 0));
    resume(&kit, bob.tenant).await;
    kit.clock.advance(Duration::from_secs(3600));
    kit.system.send(ann.tenant, TenantMessage::TimerDue);
    until("it is taken", async || post::effects(&kit, bob.tenant).await == 1).await;
}

#[tokio::test]
async fn timers_are_held_and_go_on_with_the_time_that_they_had_left() {
    const HOUR: Duration = Duration::from_secs(3600);
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let now = ocmt_types::Clock::now(&kit.clock);
    let mut tx = kit.store.fenced(kit.steal(ann.tenant).await).await.unwrap();
    tx.set_timer("test.count", "held", now + HOUR, &[]).await.unwrap();
    tx.commit().await.unwrap();
    suspend(&kit, ann.tenant).await;
    let mut tx = kit.store.fenced(kit.steal(ann.tenant).await).await.unwrap();
    tx.set_timer("test.count", "set meanwhile", now + 2 * HOUR, &[]).await.unwrap();
    tx.commit().await.unwrap();
    kit.clock.advance(3 * HOUR);
    let nothing_due = async || {
        let now = ocmt_types::Clock::now(&kit.clock);
        kit.store.cluster().due_timers(now, 100).await.unwrap().is_empty()
    };
    until("what came due is held too", nothing_due).await;
    let due = kit.store.cluster().due_timers(ocmt_types::Clock::now(&kit.clock), 100).await.unwrap();
    assert!(due.is_empty(), "nobody is woken for it: {due:?}");
    kit.system.send(ann.tenant, TenantMessage::TimerDue);
    resume(&kit, ann.tenant).await;
    kit.clock.advance(HOUR - Duration::from_secs(1));
    kit.system.send(ann.tenant, TenantMessage::TimerDue);
    let _ = operate(&kit, ann.tenant, OperatorAct::Inspect).await.unwrap();
    assert_eq!(timers::fired(ann.tenant), 0, "it had an hour left");
    kit.clock.advance(Duration::from_secs(1));
    kit.system.send(ann.tenant, TenantMessage::TimerDue);
    until("it fires", async || timers::fired(ann.tenant) == 1).await;
}

#[tokio::test]
async fn no_user_administers_and_no_operator_sees_what_is_in_a_tenant() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let mut open = vault::vault_of(&kit, &ann).await;
    vault::store(&kit, &ann, &mut open, "a", b"1").await;
    let (vault, object) = (open.scope().vault, ocmt_crypto::object::keyring_id());
    for refused in [
        kit.call(&ann.caller, SuspendTenant { reason: "mine".to_owned() }).await.err(),
        kit.call(&ann.caller, ResumeTenant).await.err(),
        kit.call(&ann.caller, crate::api::tenant::InspectTenant).await.err(),
    ] {
        assert_eq!(refused.unwrap().reason(), "PERMISSION_DENIED");
    }
    let eve = Caller::operator(ann.tenant, operator().to_string(), kit.request(), None);
    let answers = [
        ("tenant", kit.call(&eve, GetTenant).await.err()),
        ("self", kit.call(&eve, WhoAmI).await.err()),
        ("sessions", kit.call(&eve, ListSessions).await.err()),
        ("users", kit.call(&eve, ListUsers::default()).await.err()),
        ("key", kit.call(&eve, GetIdentityKey { user: ann.user }).await.err()),
        ("audit", kit.call(&eve, QueryAudit::default()).await.err()),
        ("vault", kit.call(&eve, GetVault { vault: Some(vault) }).await.err()),
        ("slots", kit.call(&eve, GetKeySlots { vault: Some(vault), kind: None, claim: None }).await.err()),
        ("entries", kit.call(&eve, ListEntries { vault, after: None, limit: 0 }).await.err()),
        ("entry", kit.call(&eve, GetEntry { vault, object, version: 0 }).await.err()),
        ("batch", kit.call(&eve, BatchGetEntries { vault, objects: vec![object] }).await.err()),
        ("containers", kit.call(&eve, ListContainers { user: None, after: None, limit: 0 }).await.err()),
        ("container", kit.call(&eve, GetContainer { container: ocmt_store::testing::id(1) }).await.err()),
    ];
    for (what, refused) in answers {
        let reason = refused.unwrap_or_else(|| panic!("{what} was shown")).reason().to_owned();
        assert!(["NOT_FOUND", "UNAUTHENTICATED"].contains(&reason.as_str()), "{what}: {reason}");
    }
    kit.call(&eve, GetQuota::default()).await.expect("limits and use are theirs to see");
}

#[tokio::test]
async fn an_unknown_tenant_is_not_found() {
    let kit = Kit::sim().await;
    let nobody = ocmt_store::testing::id(4711);
    for act in [OperatorAct::Inspect, OperatorAct::Resume, OperatorAct::Quota] {
        assert_eq!(operate(&kit, nobody, act).await.unwrap_err(), ActorError::NotFound);
    }
}
