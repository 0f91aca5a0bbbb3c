//! Cells, their hosts and clients, and who shares with them.

use ocmt_types::{AuthorizationId, ContainerId, Id as _, SnapshotId, UnlockId};

use super::{KEY, NOW, chosen, same, scope};
use crate::{
    cell::{
        AgentPolicyStatement, CellKeyOffer, CellKeyStatement, CellPlace, DeliveredPolicy, GatewayAuthority,
        POLICY, PolicyAuthority, StartSecret,
    },
    channel,
    connect::{Answer, ProviderName, ProviderSettings, Tokens},
    datakey::DataKey,
    group_cell::{APPOINTMENT, Appointment, Handover, Order},
    mac,
    seal::SealSecretKey,
    sealed_volume::{HEAD_LEN, SealedHead, VolumePlace},
    shared::{SHARED_WRITE, SharedPlace, SharedWrite, WRITE_GRANT, WriteGrant},
    sign::SigningKey,
    snapshot::{ChunkOpener, FRAME_HEAD, Frame, SnapshotPayload, SnapshotPlace},
    snapshot_schedule::{SCHEDULE, Schedule, ScheduleKey, ScheduleOrder, TAKEN, Taken},
    unlock::{InboxItem, InboxPlace, Lease, UnlockKey},
};

/// What the policies of the target are of.
const DOCUMENT: &[u8] = b"{}";

/// What cells and their hosts and clients say to each other, under good MACs.
pub fn cells(data: &[u8]) {
    let place =
        CellPlace { tenant: scope().tenant, container: ContainerId::from_bytes([5; 16]), generation: 1 };
    let (start, key) = (StartSecret::from_bytes(KEY), UnlockKey::from_bytes(KEY));
    let under = |mac_key: &[u8; 32], body: &[u8]| [body, mac::tag(mac_key, body).as_slice()].concat();
    match chosen(data) {
        (0, body) => {
            let bytes = under(&start.offer_key().expect("32 bytes"), body);
            same(&bytes, CellKeyOffer::open(&bytes, &start, &place, NOW), |offer| {
                offer.seal(&start).expect("as it was")
            });
        }
        (1, bytes) => {
            let _ = CellKeyStatement::claimed_node(bytes);
            let _ = AgentPolicyStatement::claimed_node(bytes);
        }
        (11, body) => policy(body, &start, place),
        (2, body) => {
            let bytes = under(&key.lease_key().expect("32 bytes"), body);
            let mut lease = Lease::begin(UnlockId::from_bytes([6; 16]), 1_000, NOW);
            let before = lease.ends();
            if lease.extend(&bytes, &key, NOW).is_err() {
                assert!(lease.ends() == before, "a refused extension changed something");
            }
        }
        (4, body) => {
            let git = ProviderName::new("git").expect("a name");
            let (unlock, flow) =
                (UnlockId::from_bytes([6; 16]), (AuthorizationId::from_bytes([7; 16]), &git));
            let sealed = Answer::sealed_for_fuzzing(body, unlock, flow, &key);
            let _ = Answer::open(&sealed, unlock, flow, &key);
        }
        (5, bytes) => {
            if let Ok(settings) = ProviderSettings::decode(bytes) {
                let _ = settings.encode();
            }
        }
        (6, bytes) => {
            if let Ok(tokens) = Tokens::decode(bytes) {
                let _ = tokens.encode();
            }
        }
        (9, body) => shared(body),
        (12, bytes) => volume(bytes),
        (14, bytes) => together(bytes),
        (13, body) => schedules(body, &start, &place),
        (10, body) => {
            let stated = under(&start.gateway_key().expect("32 bytes"), body);
            let _ = GatewayAuthority::of(&start, place).expect("32 bytes").admit(&stated, "v4.public.", NOW);
        }
        (7, bytes) => same(bytes, SnapshotPayload::decode(bytes), |payload| payload.encode().to_vec()),
        (8, bytes) => {
            let (head, rest) = bytes.split_first_chunk().unwrap_or((&[0; FRAME_HEAD], bytes));
            let _ = Frame::read_head(*head);
            let (tenant, snapshot) = (scope().tenant, SnapshotId::from_bytes([8; 16]));
            let place = SnapshotPlace { tenant, snapshot };
            let mut opener = ChunkOpener::new(place, &DataKey::from_bytes(KEY));
            assert!(opener.open(rest).is_ok() == opener.is_finished() || rest.len() > 200_000);
        }
        (_, body) => {
            let bytes = under(&key.inbox_key().expect("32 bytes"), body);
            if let Ok(claimed) = InboxPlace::claimed(&bytes) {
                let _ = InboxItem::open(&bytes, &claimed, &SealSecretKey::from_bytes(KEY), &key);
            }
        }
    }
}

/// What a host has of a sealed volume.
fn volume(bytes: &[u8]) {
    let place = VolumePlace { tenant: scope().tenant, container: ContainerId::from_bytes([5; 16]) };
    let (head, chunk) = bytes.split_at(bytes.len().min(HEAD_LEN));
    let key = DataKey::from_bytes(KEY);
    if let Ok(head) = SealedHead::open([(1, &key)].into_iter(), &place, head) {
        let _ = head.opener(&place).open(chunk);
    }
}

/// What users and hosts sign of snapshots by schedule, and what a host hands its cell, under good signatures and MACs.
fn schedules(body: &[u8], start: &StartSecret, place: &CellPlace) {
    let key = SigningKey::from_bytes(&KEY);
    let signed = [body, &key.sign(SCHEDULE, body).0].concat();
    same(&signed, Schedule::verify(&signed, &key.verify_key()), |schedule| {
        schedule.sign(&key).expect("what was taken is within bounds")
    });
    let order = [body, mac::tag(&start.schedule_key().expect("32 bytes"), body).as_slice()].concat();
    if let Ok(admitted) = ScheduleOrder::admit(&order, start, place) {
        assert!(admitted.schedule.container == place.container, "an order of another container");
    }
    let taken = [body, &key.sign(TAKEN, body).0].concat();
    same(&taken, Taken::verify(&taken, &key.verify_key()), |taken| {
        taken.sign_by(|purpose, message| key.sign(purpose, message))
    });
    let _ = Taken::claimed_node(body);
    let of = ScheduleKey::of((1, &DataKey::from_bytes(KEY)), scope(), place.container).expect("32 bytes");
    let _ = of.open(SnapshotId::from_bytes([8; 16]), body);
}

/// What givers and takers of shares sign, under good signatures.
fn shared(body: &[u8]) {
    let key = SigningKey::from_bytes(&KEY);
    let grant = [body, &key.sign(WRITE_GRANT, body).0].concat();
    same(&grant, WriteGrant::open(&grant, &key.verify_key()), |grant| grant.sign(&key));
    let sent = [body, &key.sign(SHARED_WRITE, body).0].concat();
    if let Ok(write) = SharedWrite::verify(&sent, &key.verify_key()) {
        assert!(SharedPlace::claimed(&sent) == Ok(write.place), "two places of one write");
        let _ = write.open(&SealSecretKey::from_bytes(KEY));
    }
}

/// What a node signed of a policy, on its way to a cell whose host vouches for the key.
fn policy(body: &[u8], start: &StartSecret, place: CellPlace) {
    let key = SigningKey::from_bytes(&KEY);
    let statement = &[body, &key.sign(POLICY, body).0].concat();
    let host = PolicyAuthority::of(start, place).expect("32 bytes");
    let (signer, voucher) = (key.verify_key(), &host.vouch(&key.verify_key()));
    same(statement, AgentPolicyStatement::verify(statement, &signer, DOCUMENT), |stated| {
        stated.sign_by(|purpose, message| key.sign(purpose, message))
    });
    let _ = host.verify(&DeliveredPolicy { document: DOCUMENT, statement, signer, voucher });
}

/// Frames of the sealed channel, and what their records say.
pub fn channels(data: &[u8]) {
    let _ = channel::first_frame(data);
    channel::parse_anything(data);
}

/// What a group's vault is opened into a cell by. The appointment's second signature does not hold: what comes before it is parsed.
fn together(bytes: &[u8]) {
    same(bytes, Order::decode(bytes), Order::encode);
    same(bytes, Handover::decode(bytes), |handover| handover.encode().to_vec());
    let identity = SigningKey::from_bytes(&KEY);
    let mut signed = [bytes, &[0; 64]].concat();
    signed.extend_from_slice(&identity.sign(APPOINTMENT, &signed).0);
    let _ = Appointment::verify(&signed, &identity.verify_key());
}
