//! Reads of a vault that wait together share a transaction, and nothing else.

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::join_all;
use ocmt_crypto::{audit::AuditRecord, entry::EntryName, vault::UnlockedVault};
use ocmt_store::{Fault, Point, Stalled};
use ocmt_types::{Digest32, RequestId, VaultId};

use super::{
    kit::{Kit, Person},
    vault::{put, store, vault_of},
};
use crate::{
    ActorError,
    api::{
        audit::QueryAudit,
        auth::{LinkPurpose, SignOut},
        vault::{BatchPutEntries, Entries, GetEntry},
    },
    caller::Caller,
    work::MOST_TOGETHER,
};

/// Somebody with a vault that one entry is in.
struct Desk {
    kit: Kit,
    ann: Person,
    open: UnlockedVault,
    vault: VaultId,
    /// The entry.
    object: Digest32,
}

impl Desk {
    async fn new() -> Self {
        let kit = Kit::sim().await;
        let ann = kit.founder("ann@example.com").await;
        let mut open = vault_of(&kit, &ann).await;
        store(&kit, &ann, &mut open, "key", b"one").await;
        let (vault, object) = (open.scope().vault, open.entry_id(&EntryName::new("key").unwrap()));
        Self { kit, ann, open, vault, object }
    }
}

/// Each call by a request of its own, so that its record is known by it.
fn callers(kit: &Kit, of: &Person, most: usize) -> Vec<Caller> {
    (0..most).map(|_| Caller { request: kit.request(), ..of.caller.clone() }).collect()
}

fn get(vault: VaultId, object: Digest32) -> GetEntry {
    GetEntry { vault, object, version: 0 }
}

/// What the trail says came of each request.
async fn recorded(kit: &Kit, of: &Person) -> BTreeMap<RequestId, Vec<String>> {
    let method = Some("VaultService/GetEntry".to_owned());
    let query = QueryAudit { method, limit: 200, ..QueryAudit::default() };
    let mut all: BTreeMap<RequestId, Vec<String>> = BTreeMap::new();
    for entry in kit.call(&of.caller, query).await.unwrap().records {
        let record = AuditRecord::from_bytes(&entry.canonical).unwrap();
        all.entry(record.request).or_default().push(entry.result);
    }
    all
}

#[tokio::test]
async fn each_gets_its_own_answer_and_its_own_record() {
    for kit in [Kit::sim().await, Kit::sqlite().await] {
        let ann = kit.founder("ann@example.com").await;
        let mut open = vault_of(&kit, &ann).await;
        let vault = open.scope().vault;
        let names = ["one", "two", "three"];
        for name in names {
            store(&kit, &ann, &mut open, name, name.as_bytes()).await;
        }
        let objects: Vec<Digest32> =
            names.iter().map(|name| open.entry_id(&EntryName::new(name).unwrap())).collect();
        let missing = Digest32([7; 32]);
        // a few are refused, and one asks in a session that has ended
        let gone = kit.sign_in(&ann, LinkPurpose::SignIn).await;
        kit.call(&gone.caller, SignOut).await.unwrap();
        let mut asked: Vec<(Caller, Digest32)> =
            callers(&kit, &ann, 90).into_iter().zip(objects.iter().cycle().copied()).collect();
        asked.insert(70, (callers(&kit, &gone, 1).remove(0), objects[0]));
        for at in [3, 4, 40, 80] {
            asked.insert(at, (callers(&kit, &ann, 1).remove(0), missing));
        }
        let answers = join_all(asked.iter().map(|(caller, id)| kit.call(caller, get(vault, *id)))).await;
        let trail = recorded(&kit, &ann).await;
        for ((caller, object), answer) in asked.iter().zip(&answers) {
            let result = match answer {
                Ok(found) => {
                    let at = objects.iter().position(|one| one == object).unwrap();
                    let value = open.open_entry(&found.objects[0]).unwrap().value;
                    assert_eq!(value.as_slice(), names[at].as_bytes());
                    "OK"
                }
                Err(ActorError::NotFound) => {
                    assert_eq!(*object, missing);
                    "NOT_FOUND"
                }
                Err(other) => {
                    assert!(matches!(other, ActorError::Unauthenticated(_)), "{other}");
                    assert_eq!(caller.user().unwrap().session, gone.caller.user().unwrap().session);
                    other.reason()
                }
            };
            assert_eq!(trail.get(&caller.request), Some(&vec![result.to_owned()]));
        }
        assert_eq!(trail.len(), 95);
    }
}

/// A change that came between two reads is between them still.
#[tokio::test]
async fn a_read_behind_a_change_sees_it() {
    let Desk { kit, ann, open, vault, object } = Desk::new().await;
    let (_, write) = put(&open, "key", b"two");
    let versions = |answers: Vec<Result<Entries, ActorError>>| {
        answers.into_iter().map(|one| one.unwrap().objects[0].version).collect::<Vec<_>>()
    };
    let before = join_all((0..8).map(|_| kit.call(&ann.caller, get(vault, object))));
    let change = kit.call(&ann.caller, BatchPutEntries(write));
    let after = join_all((0..8).map(|_| kit.call(&ann.caller, get(vault, object))));
    let (before, change, after) = tokio::join!(biased; before, change, after);
    change.unwrap();
    assert_eq!((versions(before), versions(after)), (vec![1; 8], vec![2; 8]));
}

/// They share the commit: if it fails, nobody is told that all is well, and what is not known is said.
#[tokio::test]
async fn a_commit_that_fails_is_everybodys_and_no_secret_is_given_out() {
    for fault in
        [Fault::OutcomeUnknown { applied: false }, Fault::OutcomeUnknown { applied: true }, Fault::Full]
    {
        let Desk { kit, ann, vault, object, .. } = Desk::new().await;
        // the first is alone: the others come while it is worked on
        let asked = callers(&kit, &ann, 20);
        kit.store.faults().unwrap().plan(Point::Commit, fault.clone());
        kit.store.faults().unwrap().plan(Point::Commit, fault.clone());
        let answers = join_all(asked.iter().map(|caller| kit.call(caller, get(vault, object)))).await;
        kit.store.faults().unwrap().clear();
        let trail = recorded(&kit, &ann).await;
        let failed = answers.iter().filter(|answer| answer.is_err()).count();
        assert!(failed > 2, "two commits failed, and {failed} of 20 were told so");
        for (caller, answer) in asked.iter().zip(&answers) {
            match answer {
                Ok(_) => assert_eq!(trail.get(&caller.request).map(Vec::len), Some(1)),
                Err(error) => assert!(!error.is_refusal(), "{error}"),
            }
        }
    }
}

/// All others have their turn so often: enough for the four mailboxes on the way to the vault.
async fn others_have_their_turn() {
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
}

/// A read, and what is asked for while it stands at the beginning of its transaction.
async fn beside<T>(
    kit: &Kit,
    first: &Caller,
    read: GetEntry,
    meanwhile: impl Future<Output = T>,
) -> (Result<Entries, ActorError>, T) {
    let stalled = Stalled::default();
    kit.store.faults().unwrap().plan(Point::Begin, Fault::Stall(stalled.clone()));
    let others = async {
        stalled.reached().await;
        let release = async {
            others_have_their_turn().await;
            stalled.release();
        };
        tokio::join!(biased; meanwhile, release).0
    };
    tokio::join!(biased; kit.call(first, read), others)
}

#[tokio::test]
async fn whoever_comes_while_the_transaction_is_open_joins_it() {
    let Desk { kit, ann, vault, object, .. } = Desk::new().await;
    let asked = callers(&kit, &ann, MOST_TOGETHER + 6);
    let others = join_all(asked[1..].iter().map(|caller| kit.call(caller, get(vault, object))));
    // one commit fails: of all who were in it, which are no more than may be
    kit.store.faults().unwrap().plan(Point::Commit, Fault::Full);
    let (first, others) = beside(&kit, &asked[0], get(vault, object), others).await;
    let trail = recorded(&kit, &ann).await;
    assert!(first.is_err());
    assert_eq!(others.iter().filter(|answer| answer.is_err()).count(), MOST_TOGETHER - 1);
    for (caller, answer) in asked.iter().zip(std::iter::once(&first).chain(&others)) {
        assert_eq!(trail.contains_key(&caller.request), answer.is_ok());
    }
}

/// A change that comes while others are read is not overtaken by whoever comes behind it.
#[tokio::test]
async fn nobody_joins_before_a_change_that_came_first() {
    let Desk { kit, ann, open, vault, object } = Desk::new().await;
    let (_, write) = put(&open, "key", b"two");
    let before = join_all((0..4).map(|_| kit.call(&ann.caller, get(vault, object))));
    let change = kit.call(&ann.caller, BatchPutEntries(write));
    let after = join_all((0..4).map(|_| kit.call(&ann.caller, get(vault, object))));
    let meanwhile = async { tokio::join!(biased; before, change, after) };
    let (first, (before, change, after)) = beside(&kit, &ann.caller, get(vault, object), meanwhile).await;
    change.unwrap();
    let version = |answer: Result<Entries, ActorError>| answer.unwrap().objects[0].version;
    assert_eq!(version(first), 1);
    assert!(before.into_iter().map(version).all(|seen| seen == 1));
    assert!(after.into_iter().map(version).all(|seen| seen == 2));
}

/// A session whose time is over by then reads nothing in a transaction that began before.
#[tokio::test]
async fn each_is_decided_by_its_own_time() {
    let Desk { kit, ann, vault, object, .. } = Desk::new().await;
    let asked = callers(&kit, &ann, 5);
    let late = async {
        kit.clock.advance(Duration::from_secs(2 * 3600));
        join_all(asked.iter().map(|caller| kit.call(caller, get(vault, object)))).await
    };
    let (_, late) = beside(&kit, &ann.caller, get(vault, object), late).await;
    for answer in late {
        assert!(matches!(answer, Err(ActorError::Unauthenticated(_))), "{answer:?}");
    }
}

/// One that is set aside takes its time: whoever is behind it is asked for again before it is done.
#[tokio::test]
async fn whoever_is_too_late_by_then_is_not_read_behind_one_that_was_refused() {
    // the first of them, which is set aside by itself, and one behind others
    for refused in [0, 1] {
        let Desk { kit, ann, vault, object, .. } = Desk::new().await;
        let asked = callers(&kit, &ann, 5);
        let (faults, before, held) = (kit.store.faults().unwrap(), Stalled::default(), Stalled::default());
        // they come while another ends, so that they are a row of their own
        faults.plan(Point::Commit, Fault::Stall(before.clone()));
        let row = async {
            before.reached().await;
            faults.plan(Point::Begin, Fault::Stall(held.clone()));
            let others = join_all(asked.iter().enumerate().map(|(at, caller)| {
                kit.call(caller, get(vault, if at == refused { Digest32([7; 32]) } else { object }))
            }));
            let release = async {
                others_have_their_turn().await;
                before.release();
                held.reached().await;
                kit.clock.advance(Duration::from_secs(31));
                held.release();
            };
            tokio::join!(biased; others, release).0
        };
        let (first, row) = tokio::join!(biased; kit.call(&ann.caller, get(vault, object)), row);
        first.unwrap();
        let trail = recorded(&kit, &ann).await;
        for (at, (caller, answer)) in asked.iter().zip(&row).enumerate() {
            if (at, refused) == (0, 0) {
                assert!(matches!(answer, Err(ActorError::NotFound)), "{answer:?}");
            } else {
                assert!(matches!(answer, Err(ActorError::DeadlineExceeded)), "{answer:?}");
                assert_eq!(trail.get(&caller.request), None, "read for nobody, and recorded");
            }
        }
    }
}
