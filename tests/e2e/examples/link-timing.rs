//! Whether an address has an account shows in no answer's time. A measurement and no test: run it on a quiet machine
//! (`cargo run -p ocmt-e2e --example link-timing`); its figures stand in `docs/security/edge.md`.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::{fmt::Write as _, time::Duration};

use ocmt::config::{Config, HumanDuration};
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
/// Between two of the wishes that look for the work of one.
const PAUSE: Duration = Duration::from_millis(10);

/// One wish; how long its answer took, that of another person's wish right behind it, and on average those of the time in
/// which its work is done.
async fn wish(client: &Client, what: &str, email: &str) -> [f64; 3] {
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
    let (began, mut meanwhile) = (SystemClock.boottime(), Times::default());
    while SystemClock.boottime() - began < HumanDuration::seconds(1).0 + PAUSE {
        tokio::time::sleep(PAUSE).await; // why: a hundred answers are looked at in the second, and what is measured is not their own crowd
        meanwhile.0.push(ask("nobody-at-all@e2e.example").await);
    }
    [own, behind, meanwhile.mean()]
}

#[tokio::main]
async fn main() {
    // as in production
    let spread = |config: &mut Config| config.sessions.link_spread = HumanDuration::seconds(1);
    let node = TestNode::start_with(spread).await.unwrap();
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
        let mut times: [[Times; 2]; 3] = Default::default();
        for _ in 0..3 {
            wish(&client, what, "warm@e2e.example").await;
        }
        for (is_known, email) in runs {
            for (times, took) in times.iter_mut().zip(wish(&client, what, &email).await) {
                times[usize::from(is_known)].0.push(took);
            }
        }
        let names = ["its answer", "the answer behind it", "the answers of the second behind it"];
        for (of, [unknown, known]) in names.into_iter().zip(times) {
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
