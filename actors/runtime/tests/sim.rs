//! The simulated engine: the conformance suite, and the faults it can be told to have.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod conformance;

use std::{sync::Arc, time::Duration};

use conformance::{Bench, on, secret};
use futures_util::FutureExt as _;
use ocmt_runtime::{
    Exit, RuntimeError, State,
    sim::{Fault, Op, SimRuntime},
};
use ocmt_types::{Id as _, IdGen as _, ManualClock, NodeId, RandomIds, Timestamp};

fn engine() -> SimRuntime {
    SimRuntime::new(NodeId::from_bytes(RandomIds.random16()), Arc::new(ManualClock::at(Timestamp(1_000))))
}

fn bench_of(sim: &SimRuntime) -> Bench {
    let killer = sim.clone();
    Bench {
        node: sim.node(),
        runtime: Arc::new(sim.clone()),
        image: format!("sha256:{}", "0".repeat(64)).parse().unwrap(),
        real: false,
        end: Box::new(move |container, code| {
            killer.end(&container, Exit { code: Some(code), oom: false });
            async {}.boxed()
        }),
        close: Box::new(|| async {}.boxed()),
    }
}

conformance!(bench_of(&engine()));

#[tokio::test]
async fn a_lost_answer_is_a_thing_done() {
    let sim = engine();
    on(bench_of(&sim), async |bench| {
        let spec = bench.spec();
        sim.fault(Op::Create, Fault::EngineDown);
        sim.fault(Op::Create, Fault::LostAnswer);
        for _ in 0..2 {
            let error = bench.runtime.create(&spec).await.unwrap_err();
            assert!(
                matches!(error, RuntimeError::EngineDown(_))
                    && error.is_retryable()
                    && error.outcome_unknown()
            );
        }
        assert_eq!(bench.state(&spec.container_ref()).await, State::Created);
    })
    .await;
}

#[tokio::test]
async fn what_hangs_is_cut_off_by_the_caller_and_leaves_nothing() {
    let sim = engine();
    on(bench_of(&sim), async |bench| {
        let (container, _) = bench.started(&bench.spec(), &secret(1)).await;
        sim.fault(Op::Pause, Fault::Hang);
        assert!(
            tokio::time::timeout(Duration::from_millis(20), bench.runtime.pause(&container)).await.is_err()
        );
        assert_eq!(bench.state(&container).await, State::Running);
        assert_eq!(sim.start_secret(&container), Some(*secret(1).expose()));
        let ops: Vec<Op> = sim.calls().into_iter().map(|(op, _)| op).collect();
        assert_eq!(ops, [Op::Create, Op::Start, Op::Pause, Op::Inspect]);
    })
    .await;
}

#[tokio::test]
async fn a_cell_that_dies_at_once_is_seen_stopped() {
    let sim = engine();
    on(bench_of(&sim), async |bench| {
        sim.fault(Op::Start, Fault::Dies);
        let (container, _) = bench.started(&bench.spec(), &secret(1)).await;
        assert_eq!(
            bench.runtime.inspect(&container).await.unwrap().exit,
            Some(Exit { code: Some(1), oom: false })
        );
    })
    .await;
}
