//! What nodes, cells and people have beside vaults (`nodes.json`): made here for another implementation, and opened
//! as that made it. The payload of a snapshot, which only a cell opens, is opened in `src/golden/snapshot.rs`.

mod notes;
mod scheduled;
mod volume;

use ocmt_crypto::{
    backup_code::BackupCode,
    cell::{
        AgentPolicyStatement, CellKeyOffer, CellKeyStatement, CellPlace, DeliveredPolicy, ExpectedCell,
        PolicyAuthority, StartSecret, policy_digest,
    },
    datakey::{DataKey, ObjectPlace, VaultScope},
    grant,
    join::{open_sealing_keys, seal_sealing_keys},
    kdf::{Cost, Passphrase},
    seal::SealSecretKey,
    sealing::{SealingKey, SealingKeys},
    sealing_backup,
    sign::{Signature, SigningKey, VerifyKey},
    slot::NewSlot,
    snapshot::{
        CHUNK, ChunkOpener, ChunkSealer, Errand, SnapshotPayload, SnapshotPlace, unwrap_key, wrap_key,
    },
    vault::{self, Proof, ProofOf},
};
use ocmt_types::{
    ClusterId, ContainerId, Digest32, Id, NodeId, SnapshotId, TenantId, Timestamp, UserId, VaultId,
};
use serde_json::{Value, json};

use crate::implementations::{hex, unhex};

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const PASSPHRASE: &str = "tramway-Okapi-39-lantern";

/// All but the exported conversation, which is the client's.
pub(crate) fn make() -> Value {
    json!({
        "snapshot": snapshot(),
        "sealed_volume": volume::make(),
        "scheduled": scheduled::make(),
        "policy": policy(),
        "sealing": sealing(),
        "grant": granted(),
        "proofs": proofs(),
        "notes": notes::make(),
        "deletion": notes::deletion(),
        "backup_code": code(),
    })
}

pub(crate) fn check(all: &Value) {
    check_snapshot(&all["snapshot"]);
    volume::check(&all["sealed_volume"]);
    scheduled::check(&all["scheduled"]);
    check_policy(&all["policy"]);
    check_sealing(&all["sealing"]);
    check_grant(&all["grant"]);
    check_proofs(&all["proofs"]);
    notes::check(&all["notes"]);
    notes::check_deletion(&all["deletion"]);
    let code = BackupCode::parse(text(&all["backup_code"]["text"])).unwrap();
    assert_eq!(code.hash().0, array(&all["backup_code"]["at_rest"]));
}

fn array<const N: usize>(value: &Value) -> [u8; N] {
    unhex(value).try_into().unwrap()
}

fn id<I: Id>(value: &Value) -> I {
    I::from_bytes(array(value))
}

fn id_hex(id: impl Id) -> String {
    hex(id.into_bytes())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

fn scope(of: &Value) -> VaultScope {
    VaultScope { tenant: id(&of["tenant"]), vault: id(&of["vault"]) }
}

fn our_scope() -> VaultScope {
    VaultScope { tenant: TenantId::from_bytes([1; 16]), vault: VaultId::from_bytes([2; 16]) }
}

fn cell() -> CellPlace {
    CellPlace { tenant: our_scope().tenant, container: ContainerId::from_bytes([3; 16]), generation: 7 }
}

/// A full chunk and a short one, and the key on its way to a cell that verifies them.
fn snapshot() -> Value {
    let rng = &mut rand::rng();
    let (key, volume, secret) =
        (DataKey::generate(rng), DataKey::generate(rng), SealSecretKey::generate(rng));
    let snapshot = SnapshotId::from_bytes([4; 16]);
    let mut sealer = ChunkSealer::new(SnapshotPlace { tenant: our_scope().tenant, snapshot }, &key);
    let contents = [vec![0xa5; CHUNK], b"the end".to_vec()];
    let chunks = [sealer.seal(&contents[0], false, rng), sealer.seal(&contents[1], true, rng)];
    let payload = SnapshotPayload { errand: Errand::Verify, snapshot, key: key.duplicate() };
    let sealed = payload.seal(&stated(&secret), rng).unwrap();
    let clear = [b"OCMT\x26\x01\x03".as_slice(), &snapshot.into_bytes(), key.expose()].concat();
    json!({
        "tenant": id_hex(our_scope().tenant),
        "vault": id_hex(our_scope().vault),
        "container": id_hex(cell().container),
        "generation": cell().generation,
        "boot_nonce": hex([6; 32]),
        "cell_secret_key": hex(secret.expose()),
        "snapshot": id_hex(snapshot),
        "key": hex(key.expose()),
        "volume_key": hex(volume.expose()),
        "volume_key_version": 2,
        "wrapped_key": hex(wrap_key((2, &volume), our_scope(), snapshot, &key, rng).unwrap()),
        "errand": 3,
        "payload": hex(clear),
        "sealed_payload": hex(sealed),
        "contents": contents.map(hex),
        "chunks": chunks.map(|chunk| hex(chunk.unwrap())),
    })
}

/// What a host says of a cell with this key, verified.
fn stated(secret: &SealSecretKey) -> CellKeyStatement {
    let (start, host) = (StartSecret::from_bytes([8; 32]), SigningKey::from_bytes(&[9; 32]));
    let expires = Timestamp(NOW.0 + 60_000);
    let offer =
        CellKeyOffer { place: cell(), boot_nonce: [6; 32], expires, key: secret.public(), unlock: None };
    let offer = CellKeyOffer::open(&offer.seal(&start).unwrap(), &start, &cell(), NOW).unwrap();
    let node = NodeId::from_bytes([5; 16]);
    let expected = ExpectedCell { tenant: cell().tenant, container: cell().container, node, now: NOW };
    let stated = CellKeyStatement::sign(&offer, node, &host);
    CellKeyStatement::verify(&stated, &host.verify_key(), &expected).unwrap()
}

fn check_snapshot(v: &Value) {
    let (snapshot, volume) = (id(&v["snapshot"]), DataKey::from_bytes(array(&v["volume_key"])));
    let version = number(&v["volume_key_version"]);
    let wrapped = unhex(&v["wrapped_key"]);
    let key = unwrap_key((version, &volume), scope(v), snapshot, &wrapped).unwrap();
    assert_eq!(*key.expose(), array(&v["key"]));
    let mut opener = ChunkOpener::new(SnapshotPlace { tenant: scope(v).tenant, snapshot }, &key);
    let (chunks, contents) = (v["chunks"].as_array().unwrap(), v["contents"].as_array().unwrap());
    assert_eq!(chunks.len(), contents.len());
    for (chunk, content) in chunks.iter().zip(contents) {
        assert_eq!(*opener.open(&unhex(chunk)).unwrap(), unhex(content));
    }
    assert!(opener.is_finished());
}

fn policy() -> Value {
    let (start, node) = (StartSecret::from_bytes([8; 32]), SigningKey::from_bytes(&[9; 32]));
    let document = br#"{"format":1,"rules":[]}"#;
    let stated = AgentPolicyStatement {
        tenant: cell().tenant,
        user: Some(UserId::from_bytes([4; 16])),
        container: Some(cell().container),
        version: 9,
        digest: policy_digest(document),
        stated_at: NOW,
        node: NodeId::from_bytes([5; 16]),
    };
    json!({
        "tenant": id_hex(cell().tenant),
        "user": hex([4; 16]),
        "container": id_hex(cell().container),
        "generation": cell().generation,
        "node": hex([5; 16]),
        "start_secret": hex(start.expose()),
        "signer": hex(node.verify_key().0),
        "document": hex(document),
        "version": 9,
        "stated_at": NOW.0,
        "statement": hex(stated.sign_by(|purpose, message| node.sign(purpose, message))),
        "voucher": hex(PolicyAuthority::of(&start, cell()).unwrap().vouch(&node.verify_key())),
    })
}

fn check_policy(v: &Value) {
    let generation = number(&v["generation"]);
    let place = CellPlace { tenant: id(&v["tenant"]), container: id(&v["container"]), generation };
    let start = StartSecret::from_bytes(array(&v["start_secret"]));
    let delivered = DeliveredPolicy {
        document: &unhex(&v["document"]),
        statement: &unhex(&v["statement"]),
        signer: VerifyKey(array(&v["signer"])),
        voucher: &unhex(&v["voucher"]),
    };
    let stated = PolicyAuthority::of(&start, place).unwrap().verify(&delivered).unwrap();
    assert_eq!((stated.user, stated.node), (Some(id(&v["user"])), id(&v["node"])));
    assert_eq!(
        (stated.version, stated.stated_at.0),
        (number(&v["version"]), v["stated_at"].as_i64().unwrap())
    );
}

fn generations(keys: &SealingKeys) -> Value {
    keys.generations().map(|key| json!([key.generation(), hex(key.expose())])).collect()
}

fn sealing() -> Value {
    let rng = &mut rand::rng();
    let keys = SealingKeys::new([1, 5].map(|generation| SealingKey::generate(generation, rng)));
    let (cluster, node) = (ClusterId::from_bytes([1; 16]), NodeId::from_bytes([2; 16]));
    let (secret, passphrase) = (SealSecretKey::generate(rng), Passphrase::new(PASSPHRASE).unwrap());
    let backup = sealing_backup::seal(&keys, Digest32([3; 32]), &passphrase, Cost::LEAST, rng).unwrap();
    json!({
        "authority": hex([3; 32]),
        "passphrase": PASSPHRASE,
        "generations": generations(&keys),
        "backup": hex(backup),
        "cluster": id_hex(cluster),
        "node": id_hex(node),
        "node_secret_key": hex(secret.expose()),
        "sealed_keys": hex(seal_sealing_keys(&keys, cluster, node, &secret.public(), rng).unwrap()),
    })
}

fn check_sealing(v: &Value) {
    let (backup, passphrase) = (unhex(&v["backup"]), Passphrase::new(text(&v["passphrase"])).unwrap());
    assert_eq!(sealing_backup::authority(&backup).unwrap().0, array(&v["authority"]));
    assert_eq!(generations(&sealing_backup::open(&backup, &passphrase).unwrap()), v["generations"]);
    let (cluster, node) = (id(&v["cluster"]), id(&v["node"]));
    let secret = SealSecretKey::from_bytes(array(&v["node_secret_key"]));
    let keys = open_sealing_keys(&secret, cluster, node, &unhex(&v["sealed_keys"])).unwrap();
    assert_eq!(generations(&keys), v["generations"]);
}

fn granted() -> Value {
    let rng = &mut rand::rng();
    let (giver, taker, key) =
        (SigningKey::generate(rng), SealSecretKey::generate(rng), DataKey::generate(rng));
    let place = ObjectPlace { scope: our_scope(), object: Digest32([3; 32]), version: 11 };
    json!({
        "tenant": id_hex(our_scope().tenant),
        "vault": id_hex(our_scope().vault),
        "object": hex([3; 32]),
        "version": 11,
        "giver": hex(giver.verify_key().0),
        "taker_secret_key": hex(taker.expose()),
        "data_key": hex(key.expose()),
        "grant": hex(grant::seal(&place, &key, &taker.public(), &giver, rng).unwrap()),
    })
}

fn check_grant(v: &Value) {
    let version = number(&v["version"]);
    let place = ObjectPlace { scope: scope(v), object: Digest32(array(&v["object"])), version };
    let taker = SealSecretKey::from_bytes(array(&v["taker_secret_key"]));
    let key = grant::open(&place, &unhex(&v["grant"]), &taker, &VerifyKey(array(&v["giver"]))).unwrap();
    assert_eq!(*key.expose(), array(&v["data_key"]));
}

fn every_proof(hash: Digest32) -> [(&'static str, ProofOf); 4] {
    [
        ("unlock", ProofOf::Unlock),
        ("step_up", ProofOf::StepUp),
        ("completion", ProofOf::Completion(hash)),
        ("retirement", ProofOf::Retirement(hash)),
    ]
}

fn proofs() -> Value {
    let passphrase = Passphrase::new(PASSPHRASE).unwrap();
    let slots = [NewSlot::Passphrase(&passphrase, Cost::LEAST)];
    let (open, _) = vault::create(our_scope(), &slots, &mut rand::rng()).unwrap();
    let mut all = json!({
        "tenant": id_hex(our_scope().tenant),
        "vault": id_hex(our_scope().vault),
        "verify_key": hex(open.seen().verify_key.0),
        "challenge": hex([5; 32]),
        "hash": hex([6; 32]),
    });
    for (name, of) in every_proof(Digest32([6; 32])) {
        all[name] = hex(open.prove(of, Digest32([5; 32])).signature.0).into();
    }
    all
}

fn check_proofs(v: &Value) {
    let (key, challenge) = (VerifyKey(array(&v["verify_key"])), Digest32(array(&v["challenge"])));
    for (name, of) in every_proof(Digest32(array(&v["hash"]))) {
        let proof = Proof { of, challenge, signature: Signature(array(&v[name])) };
        proof.verify(&scope(v), &key).unwrap();
    }
}

fn code() -> Value {
    let code = BackupCode::generate(&mut rand::rng());
    json!({ "text": *code.to_text(), "at_rest": hex(code.hash().0) })
}
