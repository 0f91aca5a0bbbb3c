//! Limits that nodes count together, on a real Redis that fails in all of its ways.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod audit;
mod server;

use std::{collections::HashMap, net::IpAddr, sync::Arc, time::Duration};

use ocmt::{
    config::{HumanDuration, Rates, Redis},
    limits::{Class, Limiter, Standing, Subject},
    local::wait_for,
};
use ocmt_actors::ActorError;
use ocmt_types::{Clock, SystemClock};
use server::Server;
use tokio::task::JoinSet;

/// The one limit that nobody counts without Redis: whatever it admits was counted there.
const CLOSED: [Class; 1] = [Class::Recovery];
const LOCAL: [Class; 7] =
    [Class::SignIn, Class::Account, Class::Mfa, Class::Unlock, Class::Stop, Class::Read, Class::Write];
/// What half of the answers have to come within.
const BOUND: Duration = Duration::from_millis(200);
/// So long that nothing is given back under a test.
const SLOW: &str = "/168h";

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

fn rates(most: u32) -> Rates {
    let rate = format!("{most}{SLOW}").parse().unwrap();
    Rates {
        sign_in: rate,
        account: rate,
        mfa: rate,
        unlock: rate,
        recovery: rate,
        read: rate,
        write: rate,
        ..Rates::default()
    }
}

/// A node; `patient` ones wait for a machine that is busy with other tests.
fn node(server: &Server, most: u32, patient: bool) -> Limiter {
    let mut redis = Redis { url: server.url(), ..Redis::default() };
    if patient {
        redis.patience = HumanDuration::seconds(60);
    }
    Limiter::open(&rates(most), &redis, &clock()).unwrap()
}

fn somebody(n: u32) -> Subject {
    Subject::address(IpAddr::from(n.to_be_bytes()))
}

/// They have found their server.
async fn both_count(nodes: &[Limiter; 2]) {
    for limiter in nodes {
        counted(limiter, Class::Recovery, &somebody(u32::MAX)).await;
    }
}

/// The first count that is counted in Redis.
async fn counted(limiter: &Limiter, class: Class, subject: &Subject) -> Standing {
    let look = async || limiter.count(class, subject).await.ok();
    wait_for(Duration::from_secs(90), look).await.expect("nobody counts")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn l4_two_nodes_and_parallel_callers_at_the_limit_admit_exactly_the_limit() {
    const LIMIT: u32 = 20;
    let server = Server::start().await;
    let nodes = [node(&server, LIMIT, true), node(&server, LIMIT, true)];
    both_count(&nodes).await;
    for round in 0..100 {
        let subject = somebody(round);
        let mut calls = JoinSet::new();
        for n in 0..2 * LIMIT {
            let (limiter, subject) = (nodes[n as usize % 2].clone(), subject.clone());
            calls.spawn(async move { limiter.count(Class::Recovery, &subject).await.unwrap() });
        }
        let standings = calls.join_all().await;
        let admitted = standings.iter().filter(|standing| standing.wait.is_none()).count();
        assert_eq!(admitted, LIMIT as usize, "round {round}");
        let mut left: Vec<_> = standings.iter().filter(|it| it.wait.is_none()).map(|it| it.left).collect();
        left.sort_unstable();
        assert_eq!(left, (0..LIMIT).collect::<Vec<_>>(), "each was told a place of its own");
    }
}

#[tokio::test]
async fn l4_a_burst_of_ten_thousand_is_admitted_to_the_limit() {
    let server = Server::start().await;
    let nodes = [node(&server, 137, true), node(&server, 137, true)];
    both_count(&nodes).await;
    let mut calls = JoinSet::new();
    for n in 0..10_000 {
        let limiter = nodes[n % 2].clone();
        calls.spawn(async move { limiter.count(Class::Unlock, &somebody(1)).await.unwrap().wait.is_none() });
    }
    assert_eq!(calls.join_all().await.into_iter().filter(|admitted| *admitted).count(), 137);
}

#[tokio::test]
async fn l1_scripts_that_were_flushed_are_loaded_again_and_nothing_is_forgotten() {
    let server = Server::start().await;
    let limiter = node(&server, 10, true);
    assert_eq!(counted(&limiter, Class::Recovery, &somebody(1)).await.left, 9);
    assert_eq!(server.say("SCRIPT FLUSH").unwrap(), "+OK");
    assert_eq!(limiter.count(Class::Recovery, &somebody(1)).await.unwrap().left, 8);
    assert_eq!(limiter.count(Class::Recovery, &somebody(1)).await.unwrap().left, 7);
}

/// What each class answers while nobody counts, and how fast; half of the calls within the bound, since the machine
/// is busy with other tests.
async fn answers_without(limiter: &Limiter, what: &str) {
    let clock = clock();
    let mut took: HashMap<Class, Vec<Duration>> = HashMap::new();
    for _ in 0..9 {
        for class in CLOSED.into_iter().chain(LOCAL) {
            let begun = clock.boottime();
            let answer = limiter.count(class, &somebody(9)).await;
            took.entry(class).or_default().push(clock.boottime().saturating_sub(begun));
            match answer {
                Ok(_) => assert!(LOCAL.contains(&class), "{what}: {class:?} was let through"),
                Err(ActorError::Unavailable { reason, retry_after, .. }) => {
                    assert!(CLOSED.contains(&class), "{what}: {class:?} was refused");
                    assert_eq!(reason, "LIMITS_UNREACHABLE");
                    assert!(retry_after.is_some());
                }
                Err(other) => panic!("{what}: {class:?}: {other}"),
            }
        }
    }
    for (class, mut took) in took {
        took.sort_unstable();
        tracing::info!(?class, p50 = ?took[took.len() / 2], longest = ?took[took.len() - 1], "answered");
        assert!(took[took.len() / 2] < BOUND, "{what}: {class:?}: {took:?}");
    }
}

/// After it came back, limits are counted there again.
async fn comes_back(server: &Server, limiter: &Limiter) {
    let other = node(server, 10, true);
    let before = counted(&other, Class::Recovery, &somebody(5)).await.left;
    let here = counted(limiter, Class::Recovery, &somebody(5)).await.left;
    assert_eq!(here + 1, before, "both count at one place");
}

#[tokio::test]
async fn l1_without_a_server_recoveries_wait_and_all_else_is_counted_here() {
    let mut server = Server::start().await;
    let limiter = node(&server, 1000, false);
    counted(&limiter, Class::Recovery, &somebody(1)).await;
    server.stop();
    answers_without(&limiter, "stopped").await;
    server.start_again().await;
    // a count whose answer comes late is counted all the same, and asked for again
    comes_back(&server, &node(&server, 10, true)).await;
    counted(&limiter, Class::Recovery, &somebody(1)).await;
}

#[tokio::test]
async fn l1_a_server_that_hangs_costs_nobody_time() {
    let server = Server::start().await;
    let limiter = node(&server, 1000, false);
    counted(&limiter, Class::Recovery, &somebody(1)).await;
    server.freeze();
    answers_without(&limiter, "hung").await;
    server.thaw();
    counted(&limiter, Class::Recovery, &somebody(1)).await;
}

#[tokio::test]
async fn l1_a_server_out_of_memory_counts_for_nobody() {
    let server = Server::start().await;
    let limiter = node(&server, 1000, false);
    counted(&limiter, Class::Recovery, &somebody(1)).await;
    assert_eq!(server.say("CONFIG SET maxmemory 1").unwrap(), "+OK");
    answers_without(&limiter, "out of memory").await;
    assert_eq!(server.say("CONFIG SET maxmemory 0").unwrap(), "+OK");
    counted(&limiter, Class::Recovery, &somebody(1)).await;
}

#[tokio::test]
async fn l1_a_replica_counts_for_nobody() {
    let server = Server::start().await;
    let limiter = node(&server, 1000, false);
    counted(&limiter, Class::Recovery, &somebody(1)).await;
    assert_eq!(server.say("REPLICAOF 127.0.0.1 1").unwrap(), "+OK");
    answers_without(&limiter, "read-only").await;
    assert_eq!(server.say("REPLICAOF NO ONE").unwrap(), "+OK");
    counted(&limiter, Class::Recovery, &somebody(1)).await;
}

#[tokio::test]
async fn l2_a_clock_that_went_back_locks_nobody_out_for_ever() {
    let server = Server::start().await;
    let limiter = node(&server, 10, true);
    let key = "ocmt:{a:0.0.0.1}:recovery";
    assert_eq!(counted(&limiter, Class::Recovery, &somebody(1)).await.left, 9);
    assert!(server.say(&format!("GET {key}")).unwrap().ends_with(" 0 0"), "the test knows the key");
    // as if counted two thousand years from now
    server.set(key, "63113904000000000 3 63113904000000000");
    let wait = limiter.count(Class::Recovery, &somebody(1)).await.unwrap().wait.unwrap();
    assert!(wait <= Duration::from_secs(3600), "{wait:?}");
    server.set("ocmt:{a:0.0.0.1}:read", "63113904000000000 0 0");
    let wait = limiter.count(Class::Read, &somebody(1)).await.unwrap().wait.unwrap();
    assert!(wait <= Duration::from_secs(7 * 24 * 3600 / 10), "{wait:?}");
    // what nobody can read is begun anew
    server.set("ocmt:{a:0.0.0.1}:write", "nonsense");
    assert_eq!(limiter.count(Class::Write, &somebody(1)).await.unwrap().left, 9);
}

/// Whoever took Redis, or filled its counts, would have taken the brake too.
#[tokio::test]
async fn what_stops_a_recovery_is_counted_by_each_node_though_redis_is_there() {
    let server = Server::start().await;
    let nodes = [node(&server, 10, true), node(&server, 10, true)];
    both_count(&nodes).await;
    for class in [Class::Stop, Class::Requests] {
        let mut left = Vec::new();
        for limiter in &nodes {
            left.push(limiter.count(class, &somebody(1)).await.unwrap().left);
        }
        assert_eq!(left[0], left[1], "{class:?}");
    }
    assert_eq!(server.say("KEYS *:stop").unwrap(), "*0");
}

/// How long the server keeps a key.
fn kept_for(server: &Server, key: &str) -> Duration {
    let said = server.say(&format!("PTTL {key}")).unwrap();
    let millis = said.trim_start_matches(':').parse().unwrap_or_else(|_| panic!("{key} never goes: {said}"));
    Duration::from_millis(millis)
}

#[tokio::test]
async fn what_is_kept_goes_when_it_says_nothing_more_and_no_sooner() {
    let server = Server::start().await;
    let limiter = node(&server, 10, true);
    let hour = Duration::from_secs(3600);
    counted(&limiter, Class::Recovery, &somebody(9)).await;
    assert_eq!(limiter.count(Class::Read, &somebody(1)).await.unwrap().left, 9);
    let kept = kept_for(&server, "ocmt:{a:0.0.0.1}:read");
    // one of ten in a week
    assert!(kept > hour * 16 && kept <= hour * 17, "{kept:?}");
    // of a limit that is given back at once, what is kept is the strike
    let rates = Rates { recovery: "1/1s".parse().unwrap(), ..Rates::default() };
    let redis = Redis { url: server.url(), patience: HumanDuration::seconds(20), ..Redis::default() };
    let quick = Limiter::open(&rates, &redis, &clock()).unwrap();
    let mut refused = false;
    for _ in 0..200 {
        refused |= counted(&quick, Class::Recovery, &somebody(2)).await.wait.is_some();
    }
    let kept = kept_for(&server, "ocmt:{a:0.0.0.2}:recovery");
    assert!(refused && kept > hour, "strikes are forgotten too soon: {kept:?}");
}

/// As if the wait that is kept there were over, and the limit itself used up all the same.
fn wait_is_over(server: &Server, key: &str, wait: Duration) {
    let kept = server.say(&format!("GET {key}")).unwrap();
    let [full, strikes, until] = kept.split(' ').map(|n| n.parse::<u64>().unwrap()).collect::<Vec<_>>()[..]
    else {
        panic!("{kept}")
    };
    let (hour, wait) = (3_600_000_000, u64::try_from(wait.as_micros()).unwrap());
    server.set(key, &format!("{} {strikes} {}", full + hour, until - wait - 1));
}

#[tokio::test]
async fn whoever_goes_on_past_a_limit_waits_twice_as_long_on_both_nodes() {
    let server = Server::start().await;
    let rates = Rates { recovery: "1/1s".parse().unwrap(), ..Rates::default() };
    let redis = Redis { url: server.url(), patience: HumanDuration::seconds(20), ..Redis::default() };
    let nodes = [(); 2].map(|()| Limiter::open(&rates, &redis, &clock()).unwrap());
    let key = "ocmt:{a:0.0.0.1}:recovery";
    assert!(counted(&nodes[0], Class::Recovery, &somebody(1)).await.wait.is_none());
    counted(&nodes[1], Class::Recovery, &somebody(2)).await;
    // used up, whenever this machine comes to it: what is kept of it goes a second after it was counted
    let now = SystemClock.now().millis() * 1000;
    server.set(key, &format!("{} 0 0", now + 3_600_000_000));
    for (turn, expected) in [60, 120, 240, 480].into_iter().enumerate() {
        let wait = nodes[turn % 2].count(Class::Recovery, &somebody(1)).await.unwrap().wait.unwrap();
        assert_eq!(wait, Duration::from_secs(expected), "turn {turn}");
        let kept = server.say(&format!("GET {key}")).unwrap();
        let again = nodes[(turn + 1) % 2].count(Class::Recovery, &somebody(1)).await.unwrap().wait.unwrap();
        assert!(again <= wait, "trying while one waits makes it no longer");
        assert_eq!(server.say(&format!("GET {key}")).unwrap(), kept, "and counts for nothing");
        wait_is_over(&server, key, wait);
    }
    // and never longer than the longest
    let kept = server.say(&format!("GET {key}")).unwrap();
    let [full, until] = [0, 2].map(|n| kept.split(' ').nth(n).unwrap().to_owned());
    server.set(key, &format!("{full} 20 {until}"));
    let wait = nodes[0].count(Class::Recovery, &somebody(1)).await.unwrap().wait;
    assert_eq!(wait, Some(Duration::from_secs(3600)));
    // nobody who kept away for the longest wait is remembered
    let kept = server.say(&format!("GET {key}")).unwrap();
    let full: u64 = kept.split(' ').next().unwrap().parse().unwrap();
    server.set(key, &format!("{full} 9 {}", full - 3 * 3_600_000_000));
    let wait = nodes[0].count(Class::Recovery, &somebody(1)).await.unwrap().wait;
    assert_eq!(wait, Some(Duration::from_secs(60)));
}

#[test]
fn an_address_is_a_subscriber_and_accounts_are_hashes() {
    let of = |text: &str| Subject::address(text.parse().unwrap());
    assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
    assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
    assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    let letters = |from: &str| Subject::account("mara@example.org", Some(from.parse().unwrap()));
    assert!(!format!("{:?}", letters("192.0.2.1")).contains("mara"));
    assert_ne!(letters("192.0.2.1"), letters("192.0.2.2"), "a stranger uses up none of hers");
}
