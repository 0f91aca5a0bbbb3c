//! Snapshots by schedule: what is signed, handed over and sealed.

use ocmt_crypto::{
    cell::{CellPlace, StartSecret},
    datakey::DataKey,
    sign::{SigningKey, VerifyKey},
    snapshot_schedule::{Schedule, ScheduleKey, ScheduleOrder, Taken, sealed_key_hash, sealed_key_version},
};
use ocmt_types::{Digest32, Id as _, NodeId, SnapshotId, Timestamp, UserId};
use serde_json::{Value, json};

use super::{NOW, array, cell, hex, id, id_hex, number, our_scope, scope, text};
use crate::implementations::unhex;

pub(super) fn make() -> Value {
    let rng = &mut rand::rng();
    let (volume, key) = (DataKey::generate(rng), DataKey::generate(rng));
    let (identity, host) = (SigningKey::generate(rng), SigningKey::generate(rng));
    let (start, snapshot) = (StartSecret::generate(rng), SnapshotId::from_bytes([4; 16]));
    let derived = ScheduleKey::of((6, &volume), our_scope(), cell().container).unwrap();
    let schedule = Schedule {
        tenant: our_scope().tenant,
        user: UserId::from_bytes([8; 16]),
        container: cell().container,
        number: 1_800_000_000_001,
        cron: "0 4 * * *".to_owned(),
        time_zone: "America/Argentina/Buenos_Aires".to_owned(),
        keep: 100,
        key: derived.public(),
        key_version: derived.version(),
    };
    let signed = schedule.sign(&identity).unwrap();
    let vouched = identity.verify_key();
    let order = ScheduleOrder::state(&start, &cell(), snapshot, &vouched, &signed).unwrap();
    let sealed = schedule.seal_key(snapshot, &key, rng).unwrap();
    let taken = Taken {
        tenant: our_scope().tenant,
        container: cell().container,
        generation: cell().generation,
        snapshot,
        size: 77,
        content_hash: Digest32([5; 32]),
        sealed_key_hash: sealed_key_hash(&sealed),
        taken_at: NOW,
        node: NodeId::from_bytes([6; 16]),
    };
    json!({
        "tenant": id_hex(our_scope().tenant),
        "vault": id_hex(our_scope().vault),
        "user": id_hex(schedule.user),
        "container": id_hex(cell().container),
        "generation": cell().generation,
        "snapshot": id_hex(snapshot),
        "node": id_hex(taken.node),
        "volume_key": hex(volume.expose()),
        "version": schedule.key_version,
        "start_secret": hex(start.expose()),
        "identity": hex(vouched.0),
        "node_key": hex(host.verify_key().0),
        "number": schedule.number,
        "cron": schedule.cron,
        "time_zone": schedule.time_zone,
        "keep": schedule.keep,
        "key": hex(key.expose()),
        "content_hash": hex(taken.content_hash.0),
        "size": taken.size,
        "taken_at": taken.taken_at.0,
        "schedule": hex(signed),
        "order": hex(order),
        "sealed_key": hex(sealed),
        "taken": hex(taken.sign_by(|purpose, message| host.sign(purpose, message))),
    })
}

pub(super) fn check(v: &Value) {
    let (volume, version) = (DataKey::from_bytes(array(&v["volume_key"])), number(&v["version"]));
    let derived = ScheduleKey::of((version, &volume), scope(v), id(&v["container"])).unwrap();
    let expected = Schedule {
        tenant: id(&v["tenant"]),
        user: id(&v["user"]),
        container: id(&v["container"]),
        number: number(&v["number"]),
        cron: text(&v["cron"]).to_owned(),
        time_zone: text(&v["time_zone"]).to_owned(),
        keep: u16::try_from(number(&v["keep"])).unwrap(),
        key: derived.public(),
        key_version: version,
    };
    let identity = VerifyKey(array(&v["identity"]));
    assert_eq!(Schedule::verify(&unhex(&v["schedule"]), &identity), Ok(expected.clone()));

    let snapshot = id(&v["snapshot"]);
    let start = StartSecret::from_bytes(array(&v["start_secret"]));
    let generation = number(&v["generation"]);
    let place = CellPlace { tenant: expected.tenant, container: expected.container, generation };
    let order = ScheduleOrder::admit(&unhex(&v["order"]), &start, &place).unwrap();
    assert_eq!(order, ScheduleOrder { snapshot, schedule: expected.clone() });

    let sealed = unhex(&v["sealed_key"]);
    assert_eq!(sealed_key_version(&sealed), Ok(version));
    assert_eq!(*derived.open(snapshot, &sealed).unwrap().expose(), array(&v["key"]));
    let taken = Taken {
        tenant: expected.tenant,
        container: expected.container,
        generation,
        snapshot,
        size: number(&v["size"]),
        content_hash: Digest32(array(&v["content_hash"])),
        sealed_key_hash: sealed_key_hash(&sealed),
        taken_at: Timestamp(v["taken_at"].as_i64().unwrap()),
        node: id(&v["node"]),
    };
    assert_eq!(Taken::verify(&unhex(&v["taken"]), &VerifyKey(array(&v["node_key"]))), Ok(taken));
}
