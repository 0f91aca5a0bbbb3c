#![allow(clippy::unwrap_used)]
use ocmt_crypto::audit::{Actor, Outcome};
use ocmt_store::testing::id;
use ocmt_types::Digest32;

use super::*;

fn row(seq: i64, action: &str, object: &str, at: i64) -> AuditRow {
    let record = AuditRecord {
        tenant: id(1),
        at: Timestamp(at),
        request: id(2),
        actor: Actor::Node(id(3)),
        action: action.to_owned(),
        object: object.to_owned(),
        outcome: Outcome::Allowed,
        details: vec![("why".to_owned(), "x".repeat(500))],
    };
    AuditRow {
        tenant_id: id(1),
        seq,
        at: Timestamp(at),
        actor: "node/3".to_owned(),
        action: action.to_owned(),
        object: object.to_owned(),
        record: record.to_bytes().unwrap(),
        hash: Digest32([0; 32]),
    }
}

fn all() -> Wanted {
    Wanted { min_severity: Severity::Warning, actions: Vec::new() }
}

/// Steps until nothing is told; what was.
fn walk(state: State, rows: &[AuditRow], now: Timestamp) -> (State, Vec<Draft>) {
    let (mut state, mut told) = (state, Vec::new());
    loop {
        let step = state.step(&all(), rows, now);
        state = step.state;
        match step.alert {
            Some(alert) => told.push(alert),
            None => return (state, told),
        }
    }
}

#[test]
fn a_storm_of_ten_thousand_is_two_messages_and_one_line() {
    let rows: Vec<AuditRow> =
        (1..=10_000).map(|seq| row(seq, "limits.storm", &format!("node/{seq}"), 1_000)).collect();
    let (mut state, mut told) = (State::default(), Vec::new());
    for page in rows.chunks(200) {
        let (next, more) = walk(state, page, Timestamp(2_000));
        (state, told) = (next, [told, more].concat());
    }
    assert_eq!((told.len(), state.seq, state.groups.len()), (1, 10_000, 1));
    assert!(state.told().len() < 200, "what is kept of it is bounded");
    let later = Timestamp(2_000) + COOLDOWN;
    assert!(!state.is_due(Timestamp(later.0 - 1)) && state.is_due(later));
    let (state, told) = walk(State::read(state.seq, &state.told()), &[], later);
    let facts = |name: &str| told[0].facts.iter().find(|(of, _)| of == name).unwrap().1.clone();
    assert_eq!((told.len(), facts("times_more"), facts("last_on")), (1, "9999".into(), "node/10000".into()));
    // and quiet after it
    let (state, told) = walk(state, &[], later + COOLDOWN);
    assert_eq!((told.len(), state.groups.len()), (0, 0));
}

#[test]
fn different_actions_do_not_hold_each_other_up_and_what_is_told_of_a_record_is_always_the_same() {
    let rows = [
        row(1, "node.dead", "node/1", 5),
        row(2, "cluster.join", "node/2", 6),
        row(3, "operator.first", "", 7),
    ];
    let (state, told) = walk(State::default(), &rows, Timestamp(9));
    let said: Vec<_> = told.iter().map(|draft| (draft.key.as_str(), draft.severity)).collect();
    let expected =
        [("record 1", Severity::Critical), ("record 2", Severity::Warning), ("record 3", Severity::Warning)];
    assert_eq!((said.as_slice(), state.seq), (expected.as_slice(), 3));
    assert!(told[0].facts.iter().all(|(_, value)| value.chars().count() <= LONGEST));
    // tried again after it failed: the same
    let again = State::default().step(&all(), &rows, Timestamp(10_000)).alert.unwrap();
    assert_eq!(again, told[0]);
}

#[test]
fn what_nobody_took_for_a_week_is_not_told_any_more() {
    let now = Timestamp(0) + OLDEST + Duration::from_secs(10);
    let rows = [row(1, "node.dead", "node/1", 1), row(2, "node.dead", "node/2", now.0 - 1)];
    let (state, told) = walk(State::default(), &rows, now);
    assert_eq!((state.seq, told.len(), told[0].key.as_str()), (2, 1, "record 2"));
}
