//! The payload of a snapshot, as the second implementation sealed it: `tests/vectors/ocmt/nodes.json`, which
//! `tests/nodes` opens but for this.

use ocmt_types::{ContainerId, Id as _, SnapshotId, TenantId};
use serde_json::Value;

use super::{array, bytes};
use crate::{
    cell::CellPlace,
    seal::SealSecretKey,
    snapshot::{Errand, SnapshotPayload},
};

#[test]
fn the_published_payload_of_a_snapshot_opens() {
    let all: Value = serde_json::from_str(include_str!("../../tests/vectors/ocmt/nodes.json")).unwrap();
    let v = &all["snapshot"];
    let place = CellPlace {
        tenant: TenantId::from_bytes(array(v, "tenant")),
        container: ContainerId::from_bytes(array(v, "container")),
        generation: v["generation"].as_u64().unwrap(),
    };
    let secret = SealSecretKey::from_bytes(array(v, "cell_secret_key"));
    let sealed = bytes(v, "sealed_payload");
    let opened = SnapshotPayload::open(&place, &array(v, "boot_nonce"), &secret, &sealed).unwrap();
    assert_eq!(*opened.encode(), bytes(v, "payload"));
    let snapshot = SnapshotId::from_bytes(array(v, "snapshot"));
    assert_eq!((opened.errand, opened.snapshot), (Errand::Verify, snapshot));
    assert_eq!(*opened.key.expose(), array(v, "key"));
}
