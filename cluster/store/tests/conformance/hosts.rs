//! What containers reserve on their hosts, and which of them a host has.

use ocmt_store::{
    Store,
    tables::{Container, ContainerState, DesiredState},
    testing::{TestNode, id},
};
use ocmt_types::{ContainerId, NodeId, Ownership, Timestamp};

use super::{races::together, rows::one_tenant};

pub fn container(own: Ownership, n: u64, host: NodeId) -> Container {
    Container {
        tenant_id: own.tenant,
        container_id: id(n),
        user_id: id(n),
        name: String::new(),
        host_node: host,
        generation: 1,
        desired: DesiredState::Running,
        observed: ContainerState::Running,
        runtime_ref: None,
        cell_addr: None,
        image: "image".to_owned(),
        spec: b"{}".to_vec(),
        memory_mib: 100,
        active_at: Timestamp(0),
        unlock_id: None,
        unlocked_until: None,
        start_secret: None,
        failure: None,
        exit_code: None,
        exit_oom: false,
        exited_at: None,
        version: 1,
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
        erase_volume: false,
        volume_mib: 0,
        unsealed_since: None,
        unsealed_why: None,
        unsealed_lost: false,
    }
}

async fn reserved(store: &Store, host: NodeId) -> i64 {
    store.cluster().reserved_memory().await.unwrap().get(&host).copied().unwrap_or_default()
}

pub async fn parallel_reservations_never_exceed_a_host(store: Store) {
    let own = one_tenant(&store).await;
    let (small, large): (NodeId, NodeId) = (id(71), id(72));
    let placed = together(&store, |store, _| async move {
        let mut tx = store.fenced(own).await.unwrap();
        let mut place = None;
        for (host, most) in [(small, 750), (large, 1_050)] {
            if tx.reserve_memory(host, 100, Some(most)).await.unwrap() {
                place = Some(host);
                break;
            }
        }
        tx.commit().await.unwrap();
        place
    })
    .await;
    let on = |host| placed.iter().filter(|place| **place == Some(host)).count();
    assert_eq!((on(small), on(large)), (7, 10), "as many as fit, and no more");
    assert_eq!((reserved(&store, small).await, reserved(&store, large).await), (700, 1_000));
}

pub async fn what_was_reserved_comes_back_and_a_rolled_back_reservation_was_none(store: Store) {
    let own = one_tenant(&store).await;
    let host: NodeId = id(71);
    let mut tx = store.fenced(own).await.unwrap();
    assert!(tx.reserve_memory(host, 60, Some(100)).await.unwrap());
    assert!(!tx.reserve_memory(host, 41, Some(100)).await.unwrap());
    tx.commit().await.unwrap();
    let mut tx = store.fenced(own).await.unwrap();
    assert!(tx.reserve_memory(host, 40, Some(100)).await.unwrap(), "to the last byte");
    tx.rollback().await.unwrap();
    assert_eq!(reserved(&store, host).await, 60);
    let mut tx = store.fenced(own).await.unwrap();
    tx.return_memory(host, 60).await.unwrap();
    assert!(tx.reserve_memory(host, 1_000, None).await.unwrap(), "a host without a bound");
    tx.commit().await.unwrap();
    assert_eq!(reserved(&store, host).await, 1_000);
}

pub async fn a_host_finds_its_containers_of_all_tenants(store: Store) {
    let node = TestNode::start(&store, 1).await.unwrap();
    let (here, there): (NodeId, NodeId) = (id(71), id(72));
    for tenant in 1..=3 {
        let own = node.found(tenant).await.unwrap();
        let mut tx = store.fenced(own).await.unwrap();
        tx.insert(&container(own, 10 + tenant, here)).await.unwrap();
        tx.insert(&container(own, 20 + tenant, there)).await.unwrap();
        tx.commit().await.unwrap();
    }
    let ids = |rows: Vec<Container>| rows.into_iter().map(|row| row.container_id).collect::<Vec<_>>();
    let cluster = store.cluster();
    let first = ids(cluster.hosted(here, None, 2).await.unwrap());
    assert_eq!(first, [id::<ContainerId>(11), id(12)]);
    assert_eq!(ids(cluster.hosted(here, Some(id(12)), 2).await.unwrap()), [id(13)]);
    assert_eq!(
        (cluster.count_hosted(here).await.unwrap(), cluster.count_hosted(id(9)).await.unwrap()),
        (3, 0)
    );
    assert_eq!(
        (
            cluster.count_in_state(ContainerState::Running).await.unwrap(),
            cluster.count_in_state(ContainerState::Paused).await.unwrap()
        ),
        (6, 0)
    );
}
