//! What a hand-over is held against: a bound, its own stream, and whoever owns the tenant.

use std::sync::Arc;

use ocmt_store::{Filter, tables::AuditRow};
use ocmt_types::{Clock as _, Ownership};

use super::{
    super::{HandedOver, TIMER, batch::fitting, pause, recorded},
    URL, owner, row, set, to,
};
use crate::{
    api::{
        audit::{RemoveAuditStream, SetAuditStream},
        tenant::GetTenant,
    },
    env::Scope,
    tests::kit::{Kit, Person},
    work::run_system,
};

async fn own(kit: &Kit, who: &Person) -> Ownership {
    let own = kit.store.cluster().owner(who.tenant).await.unwrap().unwrap();
    Ownership { tenant: who.tenant, incarnation: own.incarnation.unwrap(), epoch: own.epoch }
}

#[test]
fn who_goes_on_failing_is_tried_twice_as_late_each_time_up_to_an_hour() {
    let waits = [0, 1, 2, 3, 7, 8, 1_000].map(|failures| pause(failures).as_secs());
    assert_eq!(waits, [30, 30, 60, 120, 1_920, 3_600, 3_600]);
}

#[tokio::test]
async fn one_post_has_a_bound_and_a_record_that_is_past_it_goes_alone() {
    let kit = Kit::sim().await;
    let ann = owner(&kit, "ann@example.com").await;
    for _ in 0..3 {
        kit.call(&ann.caller, GetTenant).await.unwrap();
    }
    let own = own(&kit, &ann).await;
    let some = kit.store.read(own).await.unwrap().audit_page(Filter::all(), 0, 3).await.unwrap();
    let of = |bytes: [usize; 3]| {
        let sized =
            some.iter().zip(bytes).map(|(row, bytes)| AuditRow { record: vec![0; bytes], ..row.clone() });
        fitting(sized.collect()).len()
    };
    assert_eq!(some.len(), 3);
    assert_eq!(of([30 << 10, 30 << 10, 4 << 10]), 3, "exactly as much as goes");
    assert_eq!(of([30 << 10, 30 << 10, (4 << 10) + 1]), 2);
    assert_eq!(of([65 << 10, 1, 1]), 1, "one goes in any case");
}

/// What was posted where a stream led before says nothing of where it leads now.
#[tokio::test]
async fn a_post_that_was_under_way_counts_for_the_stream_that_it_was_of_alone() {
    let kit = Kit::sim().await;
    let ann = owner(&kit, "ann@example.com").await;
    let elsewhere = "https://elsewhere.example.org/";
    kit.mailbox.unknown.lock().unwrap().extend([URL.to_owned(), elsewhere.to_owned()]);
    set(&kit, &ann, to(URL)).await.unwrap();
    let first = row(&kit, &ann).await;
    set(&kit, &ann, to(elsewhere)).await.unwrap();
    let second = row(&kit, &ann).await;
    kit.call(&ann.caller, RemoveAuditStream).await.unwrap();
    set(&kit, &ann, SetAuditStream { from: Some(second.sent + 1), ..to(elsewhere) }).await.unwrap();
    let third = row(&kit, &ann).await;
    let own = own(&kit, &ann).await;
    let scope = Scope::new(Arc::clone(&kit.system.env), own);
    let over =
        [(first.revision, third.sent), (second.revision, third.sent), (third.revision, third.sent - 1)];
    for (revision, from) in over {
        let done = HandedOver { revision, from, upto: third.sent + 1, full: false, result: Ok(()) };
        run_system(&scope, done).await.unwrap();
        assert_eq!(row(&kit, &ann).await.sent, third.sent);
    }
    let done = HandedOver {
        revision: third.revision,
        from: third.sent,
        upto: third.sent + 1,
        full: false,
        result: Ok(()),
    };
    run_system(&scope, done).await.unwrap();
    assert_eq!(row(&kit, &ann).await.sent, third.sent + 1);
}

/// A host of the tenant's containers hears of no change: what it has seen it does not keep.
#[tokio::test]
async fn whoever_does_not_own_the_tenant_keeps_nothing_of_its_stream() {
    let (a, ann) = (Kit::sim().await, "ann@example.com");
    let b = a.beside(2).await;
    let ann = owner(&a, ann).await;
    let own = own(&a, &ann).await;
    let recorded = async || {
        let mut tx = a.store.fenced(own).await.unwrap();
        tx.clear_timer(TIMER, "").await.unwrap();
        let at = self::recorded(&mut tx, &b.system.env, a.clock.now()).await.unwrap();
        tx.rollback().await.unwrap();
        at
    };
    assert_eq!(recorded().await, None);
    set(&a, &ann, to(URL)).await.unwrap();
    assert!(recorded().await.is_some(), "it goes by what it saw before");
}
