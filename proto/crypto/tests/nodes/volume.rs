//! A sealed volume as its host has it.

use ocmt_crypto::{
    datakey::DataKey,
    sealed_volume::{HEAD_LEN, SealedHead, VolumeKey, VolumePlace, sealing_key},
    snapshot::{CHUNK, MAX_SEALED_CHUNK},
};
use serde_json::{Value, json};

use super::{array, cell, id, id_hex, number};
use crate::implementations::{hex, unhex};

/// A full chunk and a short one.
pub(super) fn make() -> Value {
    let rng = &mut rand::rng();
    let (volume_key, place) = (DataKey::generate(rng), place(cell().tenant, cell().container));
    let head = SealedHead::fresh(77, rng);
    let key = VolumeKey::keep((6, sealing_key(&volume_key).unwrap()));
    let content = [vec![0xa5; CHUNK], b"the end".to_vec()];
    let mut sealer = head.sealer(&place);
    let file = [
        head.seal(&key, &place, rng).unwrap(),
        sealer.seal(&content[0], false, rng).unwrap(),
        sealer.seal(&content[1], true, rng).unwrap(),
    ];
    json!({
        "tenant": id_hex(place.tenant),
        "container": id_hex(place.container),
        "volume_key": hex(volume_key.expose()),
        "version": 6,
        "serial": head.serial,
        "content": hex(content.concat()),
        "file": hex(file.concat()),
    })
}

pub(super) fn check(v: &Value) {
    let key = sealing_key(&DataKey::from_bytes(array(&v["volume_key"]))).unwrap();
    let (place, file) = (place(id(&v["tenant"]), id(&v["container"])), unhex(&v["file"]));
    let (head, chunks) = file.split_at(HEAD_LEN);
    let version = u32::try_from(number(&v["version"])).unwrap();
    let head = SealedHead::open([(version, &key)].into_iter(), &place, head).unwrap();
    assert_eq!(head.serial, number(&v["serial"]));
    let mut opener = head.opener(&place);
    let opened: Vec<u8> =
        chunks.chunks(MAX_SEALED_CHUNK).flat_map(|chunk| opener.open(chunk).unwrap().to_vec()).collect();
    assert!(opener.is_finished());
    assert_eq!(opened, unhex(&v["content"]));
}

fn place(tenant: ocmt_types::TenantId, container: ocmt_types::ContainerId) -> VolumePlace {
    VolumePlace { tenant, container }
}
