//! The end of a tenant: asked for, stopped in time, carried out.

use std::time::Duration;

use ocmt_crypto::{deletion::PURPOSE, sign::Signature};
use ocmt_runtime::Runtime as _;
use ocmt_store::tables::{DeletedTenant, User};
use ocmt_types::TenantId;

use super::{World, spec};
use crate::{
    ActorError, OperatorAct, OperatorAnswer,
    api::{
        auth::WhoAmI,
        container::{CreateContainer, HoldContainer},
        tenant::{DeleteTenant, DeletionAsked, GetTenant, StopDeletion, TenantState},
        users::Role,
    },
    tenant::TenantMessage,
    tests::{
        factors::{by_mail, reason, told},
        kit::{Kit, Person, until, until_passing},
        suspension::{operate, resume, suspend},
        vault::vault_of,
    },
};

const DELAY: Duration = Duration::from_secs(7 * 24 * 3600);

async fn ask(kit: &Kit, person: &Person) -> Result<DeletionAsked, ActorError> {
    let confirm_name = kit.call(&person.caller, GetTenant).await?.name;
    kit.call(&person.caller, DeleteTenant { confirm_name }).await
}

/// A cluster that keeps a chain of its own, as every one does that has started.
async fn in_cluster(kit: &Kit) {
    kit.store.cluster().cluster(ocmt_store::testing::id(1_000), ocmt_types::Timestamp(0)).await.unwrap();
}

/// What is left of a tenant, once that is all there is.
async fn gone(kit: &Kit, tenant: TenantId) -> DeletedTenant {
    let passes = || {
        kit.clock.advance(Duration::from_secs(60));
        kit.system.send(tenant, TenantMessage::TimerDue);
    };
    let is_deleted = async || kit.store.cluster().deleted_tenant(tenant).await.unwrap().is_some();
    until_passing("it is deleted", passes, is_deleted).await;
    until("nothing of it answers", async || {
        reason(operate(kit, tenant, OperatorAct::Inspect).await) == "NOT_FOUND"
    })
    .await;
    kit.store.cluster().deleted_tenant(tenant).await.unwrap().unwrap()
}

#[tokio::test]
async fn an_owner_who_showed_themselves_and_typed_the_name_asks_for_it() {
    let kit = Kit::sqlite().await;
    let ann = kit.founder("ann@example.com").await;
    let other = kit.founder("other@example.com").await;
    for role in [Role::Admin, Role::Member, Role::Observer] {
        let email = format!("{role:?}@example.com").to_lowercase();
        let person = kit.member(&ann, &email, role).await;
        assert_eq!(reason(ask(&kit, &person).await), "PERMISSION_DENIED");
        assert_eq!(reason(kit.call(&person.caller, StopDeletion).await), "PERMISSION_DENIED");
    }
    for wrong in ["", "of ann", "Of ann@example.com", "of other@example.com"] {
        let ask = DeleteTenant { confirm_name: wrong.to_owned() };
        assert_eq!(reason(kit.call(&ann.caller, ask).await), "INVALID_ARGUMENT");
    }
    assert_eq!(kit.call(&ann.caller, GetTenant).await.unwrap().deletes_at, None);
    kit.clock.advance(Duration::from_secs(301));
    assert_eq!(reason(ask(&kit, &ann).await), "STEP_UP_REQUIRED");
    let ann = by_mail(&kit, &ann).await;
    let asked = ask(&kit, &ann).await.unwrap();
    told(&kit, "ann@example.com", "tenant.deletion").await;
    kit.clock.advance(Duration::from_secs(60));
    assert_eq!(ask(&kit, &ann).await.unwrap(), asked, "asked again, it is not put off");
    assert_eq!(kit.call(&ann.caller, GetTenant).await.unwrap().deletes_at, Some(asked.deletes_at));
    assert_eq!(kit.call(&other.caller, GetTenant).await.unwrap().deletes_at, None);
}

#[tokio::test]
async fn until_its_time_it_is_served_and_any_owner_or_operator_stops_it() {
    for by_operator in [false, true] {
        let kit = Kit::sqlite().await;
        let ann = kit.founder("ann@example.com").await;
        ask(&kit, &ann).await.unwrap();
        kit.clock.advance(DELAY - Duration::from_secs(1));
        let ann = by_mail(&kit, &ann).await;
        if by_operator {
            resume(&kit, ann.tenant).await;
        } else {
            let later = by_mail(&kit, &ann).await;
            kit.clock.advance(Duration::from_millis(500));
            kit.call(&later.caller, StopDeletion).await.unwrap();
            kit.call(&later.caller, StopDeletion).await.expect("there is nothing to stop");
        }
        told(&kit, "ann@example.com", "tenant.deletion_stopped").await;
        kit.clock.advance(Duration::from_secs(120));
        let ann = by_mail(&kit, &ann).await;
        assert_eq!(kit.call(&ann.caller, GetTenant).await.unwrap().deletes_at, None);
    }
}

/// More than one transaction of an erasure takes.
async fn more_people(world: &World, ann: &Person) {
    let own = world.ownership(ann).await;
    let mut tx = world.kit.store.fenced(own).await.unwrap();
    for n in 0..250 {
        tx.insert(&ocmt_store::testing::user(own.tenant, 5_000 + n)).await.unwrap();
    }
    tx.commit().await.unwrap();
}

async fn it_ends(world: World) {
    let kit = &world.kit;
    in_cluster(kit).await;
    let ann = kit.founder("ann@example.com").await;
    let bob = kit.member(&ann, "bob@example.com", Role::Member).await;
    let other = kit.founder("other@example.com").await;
    let kept = world.running(&other).await;
    vault_of(kit, &ann).await;
    world.running(&ann).await;
    let held = world.container(&bob).await;
    let hold = HoldContainer { container: held, reason: "a test".to_owned() };
    kit.call(&ann.caller, hold).await.unwrap();
    more_people(&world, &ann).await;
    let ann = by_mail(kit, &ann).await;
    ask(kit, &ann).await.unwrap();
    told(kit, "bob@example.com", "tenant.deletion").await;
    kit.clock.advance(DELAY);
    until("its containers are removed, the held one too", async || {
        kit.system.send(ann.tenant, TenantMessage::TimerDue);
        let seen = world.runtime.list().await.unwrap();
        seen.iter().all(|seen| seen.labels.tenant == other.tenant)
    })
    .await;
    // each of its people is written to: a hand-over takes the machine's time, and has ten seconds of the clock's
    let passes = || {
        kit.clock.advance(Duration::from_secs(10));
        kit.system.send(ann.tenant, TenantMessage::TimerDue);
    };
    let is_nobodys =
        async || kit.store.cluster().owner(ann.tenant).await.unwrap().unwrap().incarnation.is_none();
    until_passing("nobody owns it any more", passes, is_nobodys).await;
    let left = gone(kit, ann.tenant).await;
    let key = kit.system.env.signer.verify_key();
    let signature = Signature(left.signature.as_slice().try_into().unwrap());
    key.verify(PURPOSE, &left.statement, &signature).unwrap();
    let statement = String::from_utf8(left.statement).unwrap();
    assert!(
        statement.contains(&format!("tenant: {}\nasked by: user:{}\n", ann.tenant, ann.user)),
        "{statement}"
    );
    assert!(statement.contains("erased: users=252 vaults=1 containers=2 containers_left"), "{statement}");
    assert!(statement.contains("containers_left_to_their_hosts=0"), "{statement}");
    let records = kit.store.operators().audit_page(0, 99).await.unwrap();
    assert_eq!(records.iter().filter(|record| record.action == "tenant.deleted").count(), 1);
    // its people are nobody's any more, and may begin anew
    assert!(kit.authenticate(&ann.token).await.is_err());
    let again = kit.founder("ann@example.com").await;
    assert_ne!(again.tenant, ann.tenant);
    // and the other tenant is as it was
    let other = by_mail(kit, &other).await;
    kit.call(&other.caller, WhoAmI).await.unwrap();
    assert_eq!(world.info(&other, kept).await.id, kept);
    until("the volumes are erased", async || {
        world.runtime.tenants_with_volumes().await.unwrap() == [other.tenant]
    })
    .await;
}

fn soon(config: &mut crate::SystemConfig) {
    config.limits.erase_every = Duration::from_millis(20);
}

#[tokio::test]
async fn it_ends_with_its_containers_volumes_keys_and_addresses_on_sim() {
    it_ends(World::sim_with(soon).await).await;
}

#[tokio::test]
async fn it_ends_with_its_containers_volumes_keys_and_addresses_on_sqlite() {
    it_ends(World::sqlite_with(soon).await).await;
}

#[tokio::test]
async fn a_suspension_does_not_keep_it() {
    for suspended_first in [true, false] {
        let kit = Kit::sqlite().await;
        in_cluster(&kit).await;
        let ann = kit.founder("ann@example.com").await;
        let name = kit.call(&ann.caller, GetTenant).await.unwrap().name;
        let delete = OperatorAct::Delete { confirm_name: name };
        if suspended_first {
            suspend(&kit, ann.tenant).await;
        }
        let asked = operate(&kit, ann.tenant, delete).await.unwrap();
        assert!(matches!(asked, OperatorAnswer::Deletion(_)), "{asked:?}");
        if !suspended_first {
            suspend(&kit, ann.tenant).await;
        }
        told(&kit, "ann@example.com", "tenant.deletion").await;
        kit.clock.advance(DELAY);
        let left = gone(&kit, ann.tenant).await;
        assert!(String::from_utf8(left.statement).unwrap().contains("asked by: operator:"));
    }
}

#[tokio::test]
async fn another_node_goes_on_where_one_died() {
    let a = World::sim_with(soon).await;
    in_cluster(&a.kit).await;
    let ann = a.kit.founder("ann@example.com").await;
    a.running(&ann).await;
    let ann = by_mail(&a.kit, &ann).await;
    ask(&a.kit, &ann).await.unwrap();
    let b = a.beside_with(2, soon).await;
    a.runtime.set_down(true);
    a.kit.clock.advance(DELAY);
    until("it begins", async || {
        a.kit.system.send(ann.tenant, TenantMessage::TimerDue);
        let seen = operate(&a.kit, ann.tenant, OperatorAct::Inspect).await.unwrap();
        matches!(seen, OperatorAnswer::Tenant(info) if info.state == TenantState::Deleting)
    })
    .await;
    a.kit.system.root.kill();
    a.kit.is_declared_dead().await;
    // its host is gone with it: the container is left to that, and waited for no longer than ten minutes
    let left = gone(&b.kit, ann.tenant).await;
    let statement = String::from_utf8(left.statement).unwrap();
    assert!(statement.contains("containers_left_to_their_hosts=1"), "{statement}");
}

#[tokio::test]
async fn nobody_comes_back_once_it_has_begun() {
    let world = World::sim_with(soon).await;
    let kit = &world.kit;
    in_cluster(kit).await;
    let ann = kit.founder("ann@example.com").await;
    // a container of a host that does not answer keeps it from ending
    world.running(&ann).await;
    let ann = by_mail(kit, &ann).await;
    ask(kit, &ann).await.unwrap();
    world.runtime.set_down(true);
    kit.clock.advance(DELAY);
    until("it begins", async || {
        kit.system.send(ann.tenant, TenantMessage::TimerDue);
        let seen = operate(kit, ann.tenant, OperatorAct::Inspect).await.unwrap();
        matches!(seen, OperatorAnswer::Tenant(info) if info.state == TenantState::Deleting)
    })
    .await;
    assert_eq!(reason(operate(kit, ann.tenant, OperatorAct::Resume).await), "TENANT_DELETED");
    assert_eq!(reason(kit.authenticate(&ann.token).await), "UNAUTHENTICATED", "its time had passed");
    let create = CreateContainer { user: None, spec: spec(), start: false };
    assert!(kit.call(&ann.caller, create).await.is_err());
    let act = OperatorAct::Suspend { reason: "a test".to_owned() };
    assert_eq!(reason(operate(kit, ann.tenant, act).await), "TENANT_DELETED");
    let users = kit
        .store
        .read(kit.steal(ann.tenant).await)
        .await
        .unwrap()
        .count::<User>(ocmt_store::Filter::all())
        .await;
    assert_eq!(users.unwrap(), 1, "its rows wait for the container");
    gone(kit, ann.tenant).await;
    assert_eq!(world.runtime.tenants_with_volumes().await.err().map(|_| ()), Some(()), "the engine is away");
    world.runtime.set_down(false);
    until("what was left to the host goes", async || {
        world.runtime.tenants_with_volumes().await.unwrap().is_empty()
            && world.runtime.list().await.unwrap().is_empty()
    })
    .await;
}
