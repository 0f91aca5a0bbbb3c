//! Whether an address has an account shows in no answer's time. A measurement and no test: run it on a quiet machine
//! (`cargo run -p ocmt-e2e --example link-timing`); its figures stand in `docs/security/edge.md`.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::{fmt::Write as _, time::Duration};

use ocmt_client::{Client, auth::Purpose};
use ocmt_testkit::{
    TestNode,
    statistics::{Times, mann_whitney},
};
use ocmt_types::{Clock, SystemClock};
use rand::seq::SliceRandom as _;

const RUNS: usize = 200;
/// Unused links that a user gets in a while: a further wish for one is no longer like the first.
const LINKS_EACH: usize = 5;
/// Between two runs: the work of one, done after its answer, is not to fall into the next.
const SETTLE: Duration = Duration::from_millis(40);

/// One wish; how long its answer took, and that of another person's wish right behind it.
async fn wish(client: &Client, what: &str, email: &str) -> (f64, f64) {
    let ask = async |email: &str| {
        let began = SystemClock.boottime();
        let asked = match what {
            "link" => client.request_link(email, None, Purpose::SignIn).await,
            _ => client.sign_up(email, "A tenant").await,
        };
        asked.unwrap();
        (SystemClock.boottime() - began).as_secs_f64() * 1e6
    };
    let own = ask(email).await;
    let behind = ask("nobody-at-all@e2e.example").await;
    tokio::time::sleep(SETTLE).await; // why: what one run does after its answer must not be measured with the next, and its end shows nowhere
    (own, behind)
}

#[tokio::main]
async fn main() {
    let node = TestNode::start().await.unwrap();
    let mut known = Vec::new();
    for n in 0..RUNS / LINKS_EACH {
        known.push(node.person(&format!("known{n}")).await.unwrap().email);
    }
    let client = node.local().client().await.unwrap();
    let mut table = String::new();
    for what in ["link", "sign-up"] {
        let mut runs: Vec<(bool, String)> = (0..RUNS)
            .flat_map(|n| {
                [(true, known[n % known.len()].clone()), (false, format!("other{n:02}@e2e.example"))]
            })
            .collect();
        runs.shuffle(&mut rand::rng());
        let (mut own, mut behind) =
            ([Times::default(), Times::default()], [Times::default(), Times::default()]);
        for _ in 0..20 {
            wish(&client, what, "warm@e2e.example").await;
        }
        for (is_known, email) in runs {
            let (first, second) = wish(&client, what, &email).await;
            own[usize::from(is_known)].0.push(first);
            behind[usize::from(is_known)].0.push(second);
        }
        for (of, [unknown, known]) in [("its answer", own), ("the answer behind it", behind)] {
            writeln!(
                table,
                "| {what}, {of} | {:.0} / {:.0} µs | {:.0} / {:.0} µs | {:.3} |",
                known.median(),
                known.mean(),
                unknown.median(),
                unknown.mean(),
                mann_whitney(&known, &unknown)
            )
            .unwrap();
        }
    }
    println!("| wish | known: median / mean | unknown: median / mean | p |\n|---|---|---|---|\n{table}");
}
