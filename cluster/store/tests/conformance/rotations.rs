//! A rotation's objects take the place of those before, range by range and all in one transaction.

use ocmt_store::{
    FencedTx, Filter, ObjectRange, Store,
    tables::{ObjectBody, RotationObject, VaultObject},
    testing::{TestNode, id},
};
use ocmt_types::{Digest32, Ownership, Timestamp, VaultId};

use super::rows::one_tenant;

const NOW: Timestamp = Timestamp(7_000);
const AT_ONCE: usize = 64;

/// The id of object `n`: in the order of the numbers.
fn object_id(n: u16) -> Digest32 {
    let mut bytes = [0x80; 32];
    bytes[..2].copy_from_slice(&n.to_be_bytes());
    Digest32(bytes)
}

fn old_body(n: u16) -> Vec<u8> {
    vec![1; usize::from(n % 7) + 1]
}

fn new_body(n: u16) -> Vec<u8> {
    vec![2; usize::from(n % 11) + 5]
}

fn head(own: Ownership, vault: VaultId, n: u16) -> VaultObject {
    VaultObject {
        tenant_id: own.tenant,
        vault_id: vault,
        object_id: object_id(n),
        version: 3,
        key_epoch: 1,
        wrapped_key: vec![1; 9],
        body_hash: Digest32([1; 32]),
        body_bytes: i64::try_from(old_body(n).len()).unwrap(),
        updated_at: Timestamp(1),
    }
}

/// Every fourth object is only rewrapped.
fn rewrapped(n: u16) -> bool {
    n.is_multiple_of(4)
}

fn staged(own: Ownership, vault: VaultId, n: u16) -> RotationObject {
    let body = (!rewrapped(n)).then(|| new_body(n));
    RotationObject {
        tenant_id: own.tenant,
        vault_id: vault,
        object_id: object_id(n),
        version: if rewrapped(n) { 3 } else { 4 },
        wrapped_key: vec![2; 10],
        body_hash: body.as_ref().map(|_| Digest32([2; 32])),
        body,
    }
}

fn switched(own: Ownership, vault: VaultId, n: u16) -> VaultObject {
    let before =
        VaultObject { key_epoch: 2, wrapped_key: vec![2; 10], updated_at: NOW, ..head(own, vault, n) };
    if rewrapped(n) {
        return before;
    }
    let body_bytes = i64::try_from(new_body(n).len()).unwrap();
    VaultObject { version: 4, body_hash: Digest32([2; 32]), body_bytes, ..before }
}

/// A vault of `count` objects, all of them staged.
async fn fill(store: &Store, own: Ownership, vault: VaultId, count: u16) {
    let mut tx = store.fenced(own).await.unwrap();
    for n in 0..count {
        tx.insert(&head(own, vault, n)).await.unwrap();
        let (tenant_id, vault_id, object_id) = (own.tenant, vault, object_id(n));
        tx.insert(&ObjectBody { tenant_id, vault_id, object_id, body: old_body(n) }).await.unwrap();
        tx.insert(&staged(own, vault, n)).await.unwrap();
    }
    tx.commit().await.unwrap();
}

fn ranges(vault: VaultId, count: u16) -> Vec<ObjectRange> {
    let ids: Vec<Digest32> = (0..count).map(object_id).collect();
    ObjectRange::covering(vault, &ids, AT_ONCE)
}

/// How many heads and bodies a switch of all ranges took.
async fn switch(tx: &mut FencedTx, ranges: &[ObjectRange]) -> (u64, u64) {
    let (mut heads, mut bodies) = (0, 0);
    for range in ranges {
        heads += tx.switch_heads(range, 2, NOW).await.unwrap();
    }
    for range in ranges {
        bodies += tx.switch_bodies(range).await.unwrap();
    }
    (heads, bodies)
}

async fn heads(store: &Store, own: Ownership, vault: VaultId) -> Vec<VaultObject> {
    let mut tx = store.read(own).await.unwrap();
    let mut all: Vec<VaultObject> = Vec::new();
    loop {
        let of_vault = VaultObject::vault_id.eq(vault);
        let page = match all.last() {
            Some(last) => tx.find(of_vault.after(&(vault, last.object_id))).await.unwrap(),
            None => tx.find(of_vault).await.unwrap(),
        };
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

/// Whether every body is what the rotation makes of it, or what it was.
async fn bodies_are(store: &Store, own: Ownership, vault: VaultId, count: u16, new: bool) {
    let mut tx = store.read(own).await.unwrap();
    for n in 0..count {
        let body = tx.get::<ObjectBody>((vault, object_id(n))).await.unwrap().unwrap().body;
        assert_eq!(body, if new && !rewrapped(n) { new_body(n) } else { old_body(n) }, "{n}");
    }
}

pub async fn what_was_staged_takes_the_place_of_thousands_of_objects(store: Store) {
    const COUNT: u16 = 2_500;
    let (own, vault) = (one_tenant(&store).await, id(1));
    fill(&store, own, vault, COUNT).await;
    let ranges = ranges(vault, COUNT);
    assert_eq!(ranges.len(), usize::from(COUNT).div_ceil(AT_ONCE));

    let mut tx = store.fenced(own).await.unwrap();
    let with_body = (0..COUNT).filter(|n| !rewrapped(*n)).count();
    assert_eq!(switch(&mut tx, &ranges).await, (u64::from(COUNT), u64::try_from(with_body).unwrap()));
    let mut dropped = 0;
    for range in &ranges {
        dropped += tx.drop_staged(range).await.unwrap();
    }
    assert_eq!(dropped, u64::from(COUNT));
    tx.commit().await.unwrap();

    let expected: Vec<VaultObject> = (0..COUNT).map(|n| switched(own, vault, n)).collect();
    assert!(heads(&store, own, vault).await == expected, "a head is not what was staged for it");
    bodies_are(&store, own, vault, COUNT, true).await;
    let left = store.read(own).await.unwrap().count::<RotationObject>(Filter::all()).await.unwrap();
    assert_eq!(left, 0);
}

pub async fn a_switch_that_is_cut_off_in_any_range_changes_nothing(store: Store) {
    const COUNT: u16 = 200;
    let (own, vault) = (one_tenant(&store).await, id(1));
    fill(&store, own, vault, COUNT).await;
    let before = heads(&store, own, vault).await;
    let ranges = ranges(vault, COUNT);
    for cut in 1..=ranges.len() {
        let mut tx = store.fenced(own).await.unwrap();
        switch(&mut tx, &ranges[..cut]).await;
        tx.drop_staged(&ranges[0]).await.unwrap();
        tx.rollback().await.unwrap();
        assert_eq!(heads(&store, own, vault).await, before);
    }
    bodies_are(&store, own, vault, COUNT, false).await;
    let left = store.read(own).await.unwrap().count::<RotationObject>(Filter::all()).await.unwrap();
    assert_eq!(left, i64::from(COUNT));
}

pub async fn a_switch_touches_its_range_of_its_vault_and_tenant_alone(store: Store) {
    const COUNT: u16 = 10;
    let node = TestNode::start(&store, 1).await.unwrap();
    let (own, other) = (node.found(1).await.unwrap(), node.found(2).await.unwrap());
    let (vault, beside) = (id(1), id(2));
    for (own, vault) in [(own, vault), (own, beside), (other, vault)] {
        fill(&store, own, vault, COUNT).await;
    }
    let mut tx = store.fenced(own).await.unwrap();
    // an object that is not staged, and something that is staged for an object that is gone
    tx.delete::<RotationObject>((vault, object_id(5))).await.unwrap();
    tx.delete::<VaultObject>((vault, object_id(6))).await.unwrap();
    tx.delete::<ObjectBody>((vault, object_id(6))).await.unwrap();
    let range = ObjectRange { vault, after: Some(object_id(2)), through: Some(object_id(7)) };
    // 3, 4 and 7; 4 is rewrapped
    assert_eq!(switch(&mut tx, &[range]).await, (3, 2));
    assert_eq!(tx.drop_staged(&range).await.unwrap(), 4);
    tx.commit().await.unwrap();

    let all = heads(&store, own, vault).await;
    let expected: Vec<VaultObject> = (0..COUNT)
        .filter(|n| *n != 6)
        .map(|n| if [3, 4, 7].contains(&n) { switched(own, vault, n) } else { head(own, vault, n) })
        .collect();
    assert_eq!(all, expected);
    for (own, vault) in [(own, beside), (other, vault)] {
        let as_before: Vec<VaultObject> = (0..COUNT).map(|n| head(own, vault, n)).collect();
        assert_eq!(heads(&store, own, vault).await, as_before);
        bodies_are(&store, own, vault, COUNT, false).await;
        let mut tx = store.read(own).await.unwrap();
        let left = tx.count::<RotationObject>(RotationObject::vault_id.eq(vault)).await.unwrap();
        assert_eq!(left, i64::from(COUNT));
    }
}

pub async fn ranges_cover_every_id_there_can_be(store: Store) {
    let (own, vault) = (one_tenant(&store).await, id(1));
    let (least, most) = (Digest32([0; 32]), Digest32([0xff; 32]));
    for count in [0, 1, 64, 65, 128, 129] {
        let mut tx = store.fenced(own).await.unwrap();
        for object_id in [least, most].into_iter().chain((0..count).map(object_id)) {
            tx.upsert(&RotationObject { object_id, ..staged(own, vault, 1) }).await.unwrap();
        }
        for range in ranges(vault, count) {
            tx.drop_staged(&range).await.unwrap();
        }
        assert_eq!(tx.count::<RotationObject>(Filter::all()).await.unwrap(), 0, "{count}");
        tx.commit().await.unwrap();
    }
}
