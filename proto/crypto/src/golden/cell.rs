//! Offer, statement, payload, extension, inbox item, and what a node wraps.

use ocmt_types::{
    AuthorizationId, ContainerId, ConversationId, Id as _, NodeId, TenantId, Timestamp, UnlockId, VaultId,
};
use rand::rngs::StdRng;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::{
    cell::{CellKeyOffer, CellKeyStatement, CellPlace, ExpectedCell, GatewayAuthority, StartSecret},
    connect::{Answer, Offered, ProviderName},
    datakey::DataKey,
    entry::EntryName,
    gateway_token::GatewayKeys,
    seal::{SealPublicKey, SealSecretKey},
    sealing::{SealingKey, SealingKeys, SealingPlace},
    sign::{SigningKey, VerifyKey},
    transcript::Anchor,
    unlock::{
        Continued, Granted, InboxItem, InboxPlace, Lease, LeaseExtension, Ledger, NewConversation, UnlockKey,
        UnlockPayload, VolumeUnlock,
        test_payload::{self, payload},
    },
};

use super::{array, bytes, hex};

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const EXPIRES: Timestamp = Timestamp(1_800_000_600_000);
const URL: &str = "https://id.example/authorize?state=x";
const SEALED: SealingPlace<'_> = SealingPlace { purpose: "totp", row: b"row" };

fn place() -> CellPlace {
    CellPlace {
        tenant: TenantId::from_bytes([1; 16]),
        container: ContainerId::from_bytes([2; 16]),
        generation: 3,
    }
}

/// As a host states them to its cell.
fn gateway_keys(start: &StartSecret) -> Vec<u8> {
    let previous = Some((VerifyKey([0x32; 32]), Timestamp(NOW.0 + 60_000)));
    let keys = GatewayKeys { current: VerifyKey([0x31; 32]), previous };
    GatewayAuthority::of(start, place()).unwrap().state(&keys, NOW)
}

fn inbox_place() -> InboxPlace {
    InboxPlace {
        tenant: TenantId::from_bytes([1; 16]),
        vault: VaultId::from_bytes([0x21; 16]),
        unlock: UnlockId::from_bytes([7; 16]),
        sequence: 1,
    }
}

fn writes_names() -> Vec<EntryName> {
    ["oauth/calendar", "caf\u{e9}"].map(|name| EntryName::new(name).unwrap()).to_vec()
}

/// One unlock that may write, of which items 0, 1 and 4 were filed.
fn ledger(inbox: SealPublicKey) -> Ledger {
    let mut ledger = Ledger::default();
    let unlock = inbox_place().unlock;
    ledger.grant(Granted::new(unlock, place().container, inbox, NOW, writes_names())).unwrap();
    for sequence in [0, 1] {
        ledger.done(&InboxPlace { sequence, ..inbox_place() });
    }
    ledger.filed(&InboxPlace { sequence: 4, ..inbox_place() }, "oauth/calendar");
    ledger
}

fn flow() -> AuthorizationId {
    AuthorizationId::from_bytes([8; 16])
}

fn offered(unlock: UnlockId, provider: &ProviderName) -> Offered<'_> {
    Offered { unlock, authorization: flow(), provider, url: URL }
}

/// Behind the fifth record of the payload's conversation.
fn going_on() -> Continued {
    Continued {
        conversation: ConversationId::from_bytes([0x22; 16]),
        at: Anchor { count: 5, last_tag: [9; 16] },
        before_tag: [8; 16],
    }
}

/// Of a container with a sealed volume whose key was renewed once.
fn with_volume() -> UnlockPayload {
    let key = |byte| DataKey::from_bytes([byte; 32]);
    let volume = VolumeUnlock { current: (4, key(0x42)), earlier: vec![(1, key(0x41))], serial: 9, least: 8 };
    UnlockPayload { volume: Some(volume), ..payload(7) }
}

fn new_conversation() -> NewConversation {
    NewConversation {
        conversation: ConversationId::from_bytes([0x23; 16]),
        key: DataKey::from_bytes([0x29; 32]),
    }
}

pub(super) fn make(rng: &mut StdRng) -> Value {
    let (start, host, cell) =
        (StartSecret::generate(rng), SigningKey::generate(rng), SealSecretKey::generate(rng));
    let offer = CellKeyOffer {
        place: place(),
        boot_nonce: [4; 32],
        expires: EXPIRES,
        key: cell.public(),
        unlock: None,
    };
    let node = NodeId::from_bytes([5; 16]);
    let statement = CellKeyStatement::sign(&offer, node, &host);
    let expected = ExpectedCell { tenant: place().tenant, container: place().container, node, now: NOW };
    let verified = CellKeyStatement::verify(&statement, &host.verify_key(), &expected).unwrap();
    let payload = payload(7);
    let extension = LeaseExtension { unlock: payload.unlock, serial: 9, lease_ms: 120_000, expires: EXPIRES };
    let (inbox, key) = (SealSecretKey::generate(rng), &payload.unlock_key);
    let item = InboxItem { name: "oauth/calendar".into(), value: Zeroizing::new(b"token".to_vec()) };
    let provider = ProviderName::new("git.example").unwrap();
    let answer =
        Answer { code: Zeroizing::new("c0de".to_owned()), issuer: Some("https://id.example".to_owned()) };
    let sealing = SealingKey::generate(6, rng);
    let sealing_key = *sealing.expose();
    let writes = UnlockPayload { may_write: writes_names(), ..test_payload::payload(7) };
    let continues = UnlockPayload { continued: vec![going_on()], ..test_payload::payload(7) };
    let wrapped = SealingKeys::new([sealing]).wrap(&SEALED, b"secret", rng).unwrap();
    json!({
        "tenant": hex(place().tenant.as_bytes()),
        "container": hex(place().container.as_bytes()),
        "generation": 3,
        "boot_nonce": hex([4; 32]),
        "node": hex(node.as_bytes()),
        "expires": EXPIRES.0,
        "start_secret": hex(start.expose()),
        "control_token": start.control_token().unwrap().expose(),
        "gateway_keys": hex(gateway_keys(&start)),
        "cell_secret_key": hex(cell.expose()),
        "cell_public_key": hex(cell.public().0),
        "node_verify_key": hex(host.verify_key().0),
        "offer": hex(offer.seal(&start).unwrap()),
        "statement": hex(&statement),
        "payload": hex(&*payload.encode()),
        "payload_that_writes": hex(&*writes.encode()),
        "payload_that_continues": hex(&*continues.encode()),
        "payload_with_volume": hex(&*with_volume().encode()),
        "new_conversation": hex(&*new_conversation().item().value),
        "ledger": hex(&*ledger(inbox.public()).encode()),
        "sealed_payload": hex(payload.seal(&verified, rng).unwrap()),
        "unlock_key": hex(key.expose()),
        "extension": hex(extension.seal(key).unwrap()),
        "inbox_secret_key": hex(inbox.expose()),
        "inbox_item": hex(item.seal(&inbox_place(), &inbox.public(), key, rng).unwrap()),
        "inbox_name": "oauth/calendar",
        "inbox_value": hex(b"token"),
        "authorization": hex([8; 16]),
        "provider": "git.example",
        "authorization_url": URL,
        "authorization_proof": hex(offered(payload.unlock, &provider).proof(key).unwrap()),
        "authorization_answer": hex(answer.seal(payload.unlock, (flow(), &provider), key, rng).unwrap()),
        "authorization_code": &*answer.code,
        "authorization_issuer": answer.issuer,
        "sealing_generation": 6,
        "sealing_key": hex(sealing_key),
        "sealing_purpose": SEALED.purpose,
        "sealing_row": hex(SEALED.row),
        "wrapped": hex(wrapped),
        "wrapped_secret": hex(b"secret"),
    })
}

pub(super) fn check(v: &Value) {
    let start = StartSecret::from_bytes(array(v, "start_secret"));
    assert_eq!(start.control_token().unwrap().expose(), v["control_token"].as_str().unwrap());
    assert_eq!(gateway_keys(&start), bytes(v, "gateway_keys"));
    let offer = CellKeyOffer::open(&bytes(v, "offer"), &start, &place(), NOW).unwrap();
    assert_eq!((offer.boot_nonce, offer.key.0), (array(v, "boot_nonce"), array(v, "cell_public_key")));
    let node = NodeId::from_bytes(array(v, "node"));
    let expected = ExpectedCell { tenant: place().tenant, container: place().container, node, now: NOW };
    let host = VerifyKey(array(v, "node_verify_key"));
    let statement = CellKeyStatement::verify(&bytes(v, "statement"), &host, &expected).unwrap();
    assert_eq!((*statement.key(), statement.place(), statement.unlock()), (offer.key, place(), None));

    let cell = SealSecretKey::from_bytes(array(v, "cell_secret_key"));
    let taken =
        UnlockPayload::open(&place(), &array(v, "boot_nonce"), &cell, &bytes(v, "sealed_payload")).unwrap();
    assert_eq!(*taken.encode(), bytes(v, "payload"));
    assert_eq!(taken.conversations[0].conversation, ConversationId::from_bytes([0x22; 16]));
    let key = UnlockKey::from_bytes(array(v, "unlock_key"));
    assert_eq!(taken.unlock_key.expose(), key.expose());
    let mut lease = Lease::begin(taken.unlock, taken.lease_ms, NOW);
    assert_eq!(lease.extend(&bytes(v, "extension"), &key, NOW), Ok(Timestamp(NOW.0 + 120_000)));

    let inbox = SealSecretKey::from_bytes(array(v, "inbox_secret_key"));
    let item = InboxItem::open(&bytes(v, "inbox_item"), &inbox_place(), &inbox, &key).unwrap();
    assert_eq!(
        (item.name.as_str(), &*item.value),
        (v["inbox_name"].as_str().unwrap(), &bytes(v, "inbox_value"))
    );

    let provider = ProviderName::new(v["provider"].as_str().unwrap()).unwrap();
    assert_eq!(v["authorization_url"].as_str(), Some(URL));
    offered(taken.unlock, &provider).check(&key, &bytes(v, "authorization_proof")).unwrap();
    let answer =
        Answer::open(&bytes(v, "authorization_answer"), taken.unlock, (flow(), &provider), &key).unwrap();
    assert_eq!((answer.code.as_str(), answer.issuer.as_deref()), ("c0de", Some("https://id.example")));

    let writes = UnlockPayload::decode(&bytes(v, "payload_that_writes")).unwrap();
    assert!(writes.may_write == writes_names());
    let continues = UnlockPayload::decode(&bytes(v, "payload_that_continues")).unwrap();
    assert_eq!(continues.continued, [going_on()]);
    let opens = UnlockPayload::decode(&bytes(v, "payload_with_volume")).unwrap();
    assert_eq!(*opens.encode(), *with_volume().encode());
    assert_eq!(*new_conversation().item().value, bytes(v, "new_conversation"));
    let kept = Ledger::decode(&bytes(v, "ledger")).unwrap();
    assert_eq!(*kept.encode(), *ledger(inbox.public()).encode());

    let keys = SealingKeys::new([SealingKey::from_bytes(6, array(v, "sealing_key"))]);
    assert_eq!(*keys.unwrap_secret(&SEALED, &bytes(v, "wrapped")).unwrap(), bytes(v, "wrapped_secret"));
}
