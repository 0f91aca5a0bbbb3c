//! A client: calls any node about any tenant, and tells the oracle what it saw.

use std::{sync::atomic::Ordering, time::Duration};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::time::timeout;

use crate::{
    node::{CALL, PORT, ask, incarnation},
    oracle::Event,
    world::World,
};

/// Tenants of a run.
pub(crate) const TENANTS: u64 = 3;

/// Calls until `until`, in milliseconds.
pub(crate) async fn client(world: World, n: u64, until: u64) -> turmoil::Result {
    let mut rng = StdRng::seed_from_u64(world.seed ^ (n + 77) << 40);
    let mut count = 0;
    while world.now() < until {
        count += 1;
        let tenant = rng.random_range(1..=TENANTS);
        let node = rng.random_range(0..world.machines.len());
        let writes = rng.random_range(0..2) == 0;
        call(&world, n * 1_000_000 + count, tenant, node, writes).await;
        let thinks = Duration::from_millis(rng.random_range(10..150));
        tokio::time::sleep(thinks).await; // why: a client thinks between its calls
    }
    Ok(())
}

/// One call; whether it was answered with success.
pub(crate) async fn call(world: &World, op: u64, tenant: u64, node: usize, writes: bool) -> bool {
    world.oracle.saw(world.now(), Event::Called { op, tenant, writes });
    let kind = if writes { "W" } else { "R" };
    let line = format!("{kind} {tenant} {op} 0\n");
    let asked = timeout(CALL * 2, ask(&format!("n{}:{PORT}", node + 1), &line)).await;
    let answer = asked.ok().and_then(Result::ok).unwrap_or_default();
    let event = understood(op, &answer);
    let done = matches!(event, Event::Wrote { .. } | Event::Read { .. });
    world.oracle.saw(world.now(), event);
    done
}

fn understood(op: u64, answer: &str) -> Event {
    let words: Vec<&str> = answer.split_whitespace().collect();
    match words.as_slice() {
        ["OK", epoch, seq, by] => match (epoch.parse(), seq.parse(), incarnation(by)) {
            (Ok(epoch), Ok(seq), Some(by)) => Event::Wrote { op, epoch, seq, by },
            _ => Event::Unknown { op },
        },
        ["VAL", epoch, seq, last] => match (epoch.parse(), seq.parse(), last.parse()) {
            (Ok(epoch), Ok(seq), Ok(last)) => Event::Read { op, epoch, seq, last },
            _ => Event::Unknown { op },
        },
        ["NO" | "NOTOWNER"] => Event::Refused { op },
        _ => Event::Unknown { op },
    }
}

/// After the healing: every tenant is written and read through every node; whoever cannot be is reported.
pub(crate) async fn last_look(world: World, from: u64) -> turmoil::Result {
    while world.now() < from {
        tokio::time::sleep(Duration::from_millis(100)).await; // why: chaos and healing take simulated time
    }
    let mut op = 9_000_000;
    for tenant in 1..=TENANTS {
        for node in 0..world.machines.len() {
            for writes in [true, false] {
                let mut done = false;
                for _ in 0..10 {
                    op += 1;
                    done = call(&world, op, tenant, node, writes).await;
                    if done {
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(200)).await; // why: it has just learnt of an owner
                }
                if !done {
                    let starts = world.machines[node].starts.load(Ordering::SeqCst);
                    world.oracle.violation(format!(
                        "after the healing tenant {tenant} is not served through node {} (start {starts})",
                        node + 1
                    ));
                }
            }
        }
    }
    Ok(())
}
