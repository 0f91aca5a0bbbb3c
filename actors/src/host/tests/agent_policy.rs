//! What agents may do: who sets it, that it reaches their cells wherever they are, and what this platform enforces of it.

use std::{collections::BTreeSet, sync::atomic::Ordering, time::Duration};

use ocmt_crypto::cell::AgentPolicyStatement;
use ocmt_store::tables::AgentPolicyRow;
use ocmt_types::{Digest32, UserId};
use serde_json::{Value, json};

use super::{World, nodes::apart, spec};
use crate::{
    ActorError,
    api::{
        agent_policy::{AgentPolicy, AgentPolicyHeld, GetAgentPolicy, PutAgentPolicy, SandboxMode},
        audit::QueryAudit,
        container::{CreateContainer, PauseContainer, StopContainer, WakeKind},
        pairing::{CheckSender, ConversationScope, DirectPolicy, SenderDecision},
        tenant::{GetTenant, UpdateTenantPolicy},
        users::Role,
    },
    tests::kit::{Kit, Person, until},
};

fn names(of: &[&str]) -> BTreeSet<String> {
    of.iter().map(|name| (*name).to_owned()).collect()
}

fn denying(tool: &str) -> AgentPolicy {
    AgentPolicy { denied_tools: names(&[tool]), ..AgentPolicy::default() }
}

async fn put(
    kit: &Kit,
    by: &Person,
    user: Option<UserId>,
    policy: AgentPolicy,
    expected_version: i64,
) -> Result<i64, ActorError> {
    kit.call(&by.caller, PutAgentPolicy { user, policy, expected_version }).await.map(|set| set.version)
}

async fn get(kit: &Kit, by: &Person, user: Option<UserId>) -> Result<AgentPolicyHeld, ActorError> {
    kit.call(&by.caller, GetAgentPolicy { user }).await
}

fn read(document: &[u8]) -> Value {
    serde_json::from_slice(document).unwrap()
}

/// What the cells of a host were given, in their order.
fn given(world: &World) -> Vec<Value> {
    world.cells.policies.lock().unwrap().iter().map(|document| read(document)).collect()
}

/// Waits until the cells of a host were given something new, and nothing else.
async fn next(world: &World, count: usize) -> Value {
    until("the cell has it", async || given(world).len() >= count).await;
    assert_eq!(given(world).len(), count);
    given(world).remove(count - 1)
}

async fn opens_to_strangers(world: &World, owner: &Person) {
    let now = world.kit.call(&owner.caller, GetTenant).await.unwrap();
    let mut policy = now.policy;
    policy.dm_policy = DirectPolicy::Open;
    world.kit.call(&owner.caller, UpdateTenantPolicy { policy, version: now.version }).await.unwrap();
}

async fn a_cell_starts_with_what_holds_and_hears_of_every_change(world: World) {
    let ann = world.kit.founder("ann@example.com").await;
    put(&world.kit, &ann, None, denying("exec"), 0).await.unwrap();
    let container = world.running(&ann).await;
    let first = next(&world, 1).await;
    assert_eq!((&first["tools"]["deny"], &first["user"]), (&json!(["exec"]), &json!(ann.user.to_string())));
    assert_eq!(
        (&first["sandbox"]["mode"], &first["channels"]["dm_policy"]),
        (&json!("all"), &json!("pairing"))
    );

    put(&world.kit, &ann, Some(ann.user), denying("write"), 0).await.unwrap();
    assert_eq!(next(&world, 2).await["tools"]["deny"], json!(["exec", "write"]));
    // who may talk to it is said once, and carried with the rest
    opens_to_strangers(&world, &ann).await;
    assert_eq!(next(&world, 3).await["channels"]["dm_policy"], json!("open"));
    let versions: Vec<_> = given(&world).iter().map(|it| it["version"].as_u64().unwrap()).collect();
    assert!(versions.is_sorted() && versions[0] < versions[1] && versions[1] < versions[2], "{versions:?}");

    // what sleeps hears of it as it wakes
    world.kit.call(&ann.caller, PauseContainer { container }).await.unwrap();
    put(&world.kit, &ann, None, denying("browse"), 1).await.unwrap();
    assert_eq!(given(&world).len(), 3, "a frozen cell was given something");
    world.wake(&ann, container).await.unwrap();
    assert_eq!(next(&world, 4).await["tools"]["deny"], json!(["browse", "write"]));
    world.kit.call(&ann.caller, StopContainer { container, grace: Duration::ZERO }).await.unwrap();
    world.wake(&ann, container).await.unwrap();
    assert_eq!(next(&world, 5).await, given(&world).remove(3), "another start, the same policy");
}

#[tokio::test]
async fn a_cell_starts_with_what_holds_and_hears_of_every_change_on_sim() {
    a_cell_starts_with_what_holds_and_hears_of_every_change(World::sim().await).await;
}

#[tokio::test]
async fn a_cell_starts_with_what_holds_and_hears_of_every_change_on_sqlite() {
    a_cell_starts_with_what_holds_and_hears_of_every_change(World::sqlite().await).await;
}

#[tokio::test]
async fn a_change_on_the_owners_node_reaches_the_cell_on_its_host() {
    let (a, b, ann, container) = apart().await;
    a.wake(&ann, container).await.unwrap();
    assert_eq!(next(&b, 1).await["tools"]["deny"], json!([]));
    put(&a.kit, &ann, None, denying("exec"), 0).await.unwrap();
    assert_eq!(next(&b, 2).await["tools"]["deny"], json!(["exec"]));
    assert!(given(&a).is_empty());
}

#[tokio::test]
async fn a_host_that_comes_back_carries_what_changed_while_it_was_away() {
    let mut world = World::sqlite().await;
    let ann = world.kit.founder("ann@example.com").await;
    world.running(&ann).await;
    next(&world, 1).await;
    world.restart().await;
    put(&world.kit, &ann, None, denying("exec"), 0).await.unwrap();
    until("the cell has it", async || {
        given(&world).last().is_some_and(|it| it["tools"]["deny"] == json!(["exec"]))
    })
    .await;
}

/// The database was put back to before the policy that the cell has.
#[tokio::test]
async fn a_frozen_cell_that_has_seen_a_newer_policy_goes_on_under_it() {
    let world = World::sqlite().await;
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.running(&ann).await;
    put(&world.kit, &ann, None, denying("exec"), 0).await.unwrap();
    next(&world, 2).await;
    world.kit.call(&ann.caller, PauseContainer { container }).await.unwrap();
    let mut tx = world.kit.store.fenced(world.ownership(&ann).await).await.unwrap();
    tx.delete::<AgentPolicyRow>(AgentPolicyRow::subject_of(None)).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(world.wake(&ann, container).await.unwrap().kind, WakeKind::Unpause);
    assert_eq!(world.engine(container).await, Some(ocmt_runtime::State::Running));
    assert_eq!(given(&world).len(), 2);
    // started again, it has what there is
    world.kit.call(&ann.caller, StopContainer { container, grace: Duration::ZERO }).await.unwrap();
    world.wake(&ann, container).await.unwrap();
    assert_eq!(next(&world, 3).await["tools"]["deny"], json!([]));
}

#[tokio::test]
async fn a_thawed_cell_is_not_given_again_what_it_has() {
    let world = World::sqlite().await;
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.running(&ann).await;
    next(&world, 1).await;
    let asks = || world.cells.policy_asks.load(Ordering::SeqCst);
    let before = asks();
    world.kit.call(&ann.caller, PauseContainer { container }).await.unwrap();
    assert_eq!(world.wake(&ann, container).await.unwrap().kind, WakeKind::Unpause);
    assert_eq!(asks(), before);
    world.kit.call(&ann.caller, StopContainer { container, grace: Duration::ZERO }).await.unwrap();
    world.wake(&ann, container).await.unwrap();
    assert_eq!(asks(), before + 1, "another start knows nothing");
}

#[tokio::test]
async fn what_is_shown_is_signed_by_the_node_and_of_its_tenant_and_user() {
    let world = World::sqlite().await;
    let ann = world.kit.founder("ann@example.com").await;
    let none = get(&world.kit, &ann, None).await.unwrap();
    assert_eq!((none.version, none.policy), (0, AgentPolicy::default()));
    put(&world.kit, &ann, Some(ann.user), denying("exec"), 0).await.unwrap();
    let own = get(&world.kit, &ann, Some(ann.user)).await.unwrap();
    assert_eq!((own.version, own.policy), (1, denying("exec")));
    let key = world.kit.system.env.signer.verify_key();
    let verify = |held: &[u8]| AgentPolicyStatement::verify(&own.statement.statement, &key, held);
    let stated = verify(&own.document).unwrap();
    assert_eq!((stated.tenant, stated.user, stated.container), (ann.tenant, Some(ann.user), None));
    assert_eq!(read(&own.document)["version"], json!(stated.version));
    assert!(verify(&none.document).is_err());
}

#[tokio::test]
async fn owners_set_it_and_each_sees_their_own() {
    let world = World::sqlite().await;
    let (ann, eve) = (world.kit.founder("ann@example.com").await, world.kit.founder("eve@example.com").await);
    let bob = world.kit.member(&ann, "bob@example.com", Role::Member).await;
    let dan = world.kit.member(&ann, "dan@example.com", Role::Admin).await;
    for by in [&bob, &dan] {
        for user in [None, Some(bob.user)] {
            let refused = put(&world.kit, by, user, denying("exec"), 0).await.unwrap_err();
            assert_eq!(refused.reason(), "PERMISSION_DENIED");
        }
    }
    assert_eq!(put(&world.kit, &ann, Some(bob.user), denying("exec"), 0).await, Ok(1));
    for by in [&bob, &dan, &ann] {
        assert_eq!(get(&world.kit, by, Some(bob.user)).await.unwrap().version, 1);
        get(&world.kit, by, None).await.unwrap();
    }
    let foreign = get(&world.kit, &bob, Some(ann.user)).await.unwrap_err();
    let nobody = get(&world.kit, &bob, Some(eve.user)).await.unwrap_err();
    assert_eq!((&foreign, &nobody), (&ActorError::NotFound, &ActorError::NotFound));
    for user in [ann.user, bob.user] {
        assert_eq!(get(&world.kit, &eve, Some(user)).await.unwrap_err(), ActorError::NotFound);
        let put = put(&world.kit, &eve, Some(user), denying("x"), 0).await.unwrap_err();
        assert_eq!(put, ActorError::NotFound);
    }
    world.kit.clock.advance(Duration::from_secs(16 * 60));
    let late = put(&world.kit, &ann, None, denying("exec"), 0).await.unwrap_err();
    assert_eq!(late.reason(), "STEP_UP_REQUIRED");
    let query = QueryAudit {
        method: Some("ContainerService/PutAgentPolicy".to_owned()),
        limit: 100,
        ..QueryAudit::default()
    };
    let trail = world.kit.call(&ann.caller, query).await.unwrap().records;
    let done = trail.iter().find(|record| record.result == "OK").unwrap();
    assert_eq!(done.object, format!("user/{}", bob.user));
    for (name, value) in [("denied_tools", "1"), ("allowed_tools", "0"), ("sandbox_mode", "not said")] {
        assert!(done.details.contains(&(name.to_owned(), value.to_owned())), "{done:?}");
    }
}

#[tokio::test]
async fn parallel_changes_of_one_version_are_one_change_whichever_node_is_asked() {
    let a = World::sqlite().await;
    let b = a.beside(2).await;
    let ann = a.kit.founder("ann@example.com").await;
    let done = futures_util::future::join_all((0..12).map(async |n| {
        let nodes = if n % 2 == 0 { [&a.kit, &b.kit] } else { [&b.kit, &a.kit] };
        let ask = PutAgentPolicy { user: None, policy: denying(&format!("t{n}")), expected_version: 0 };
        Kit::ask_any(&nodes, &ann.caller, &a.kit.meta(), ask).await
    }))
    .await;
    let set = done.iter().filter(|set| set.is_ok()).count();
    assert_eq!(set, 1, "{done:?}");
    let lost = done.iter().filter_map(|set| set.as_ref().err());
    assert!(lost.clone().all(|error| error.reason() == "CHANGED_MEANWHILE"), "{done:?}");
    assert_eq!(lost.count(), 11);
}

#[tokio::test]
async fn out_of_bounds_nothing_is_set() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let many = (0..257).map(|n| format!("t{n}")).collect();
    let bad = AgentPolicy { denied_tools: many, ..AgentPolicy::default() };
    assert_eq!(put(&world.kit, &ann, None, bad, 0).await.unwrap_err().reason(), "INVALID_ARGUMENT");
    assert_eq!(get(&world.kit, &ann, None).await.unwrap().version, 0);
}

#[tokio::test]
async fn nobody_is_heard_on_a_channel_that_the_policy_does_not_name() {
    let world = World::sqlite().await;
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.container(&ann).await;
    opens_to_strangers(&world, &ann).await;
    let decision = async |channel: &str| {
        let ask = CheckSender {
            container,
            channel: channel.to_owned(),
            sender: "4711".to_owned(),
            scope: ConversationScope::Direct,
            display_name: String::new(),
            asked_by: Digest32([1; 32]),
        };
        world.kit.call(&ann.caller, ask).await.unwrap()
    };
    assert!(matches!(decision("telegram").await, SenderDecision::Allow));
    let channels = |of: &[&str]| AgentPolicy { allowed_channels: names(of), ..AgentPolicy::default() };
    put(&world.kit, &ann, None, channels(&["signal", "telegram"]), 0).await.unwrap();
    put(&world.kit, &ann, Some(ann.user), channels(&["signal"]), 0).await.unwrap();
    assert!(matches!(decision("telegram").await, SenderDecision::Drop));
    assert!(matches!(decision("signal").await, SenderDecision::Allow));
}

/// The simulated engine isolates nothing, as that of development.
#[tokio::test]
async fn who_wants_a_sandbox_gets_no_container_where_there_is_none() {
    let world = World::sqlite().await;
    let ann = world.kit.founder("ann@example.com").await;
    let modes = |mode| AgentPolicy { sandbox_mode: Some(mode), ..AgentPolicy::default() };
    put(&world.kit, &ann, None, modes(SandboxMode::NonMain), 0).await.unwrap();
    let create = || CreateContainer { user: None, spec: spec(), start: false };
    let refused = world.kit.call(&ann.caller, create()).await.unwrap_err();
    assert_eq!(refused.reason(), "SANDBOX_MISSING");
    put(&world.kit, &ann, None, modes(SandboxMode::Off), 1).await.unwrap();
    let container = world.running(&ann).await;
    world.kit.call(&ann.caller, StopContainer { container, grace: Duration::ZERO }).await.unwrap();
    // one that is there already is not started either, and it is only the user's own policy that says so
    put(&world.kit, &ann, Some(ann.user), modes(SandboxMode::All), 0).await.unwrap();
    assert_eq!(world.wake(&ann, container).await.unwrap_err().reason(), "SANDBOX_MISSING");
    assert_eq!(world.engine(container).await, Some(ocmt_runtime::State::Stopped));
    put(&world.kit, &ann, Some(ann.user), AgentPolicy::default(), 1).await.unwrap();
    world.wake(&ann, container).await.unwrap();
}
