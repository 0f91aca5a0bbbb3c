//! The rows of the failure table (docs/failures.md), one after the other on one cluster, while people work:
//! no history may show anything that a single vault could not, and everybody is answered again.
//!
//! `OCMT_CHAOS_ROUNDS=20` plays all of it twenty times.

mod cut;
mod database;
mod ended;
mod planned;
mod upgrade;

use std::time::Duration;

use ocmt_cluster_tests::stage::{Cost, Stage};

/// People with a tenant each, two devices each.
const PEOPLE: usize = 9;
/// How long until a life is declared dead: its lease of six seconds, and what a busy machine takes.
const PATIENCE: Duration = Duration::from_secs(20);
/// And until others answer for it from then on.
const TAKEN_OVER: Duration = Duration::from_secs(10);
/// And where each of them is moved again and again.
const UPGRADED: usize = 6;

fn rounds() -> usize {
    std::env::var("OCMT_CHAOS_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(1)
}

/// The present life of a node.
async fn life(stage: &Stage, node: usize) -> String {
    stage.cluster.living(node).await.unwrap().expect("the node lives again").incarnation
}

fn tell(round: usize, what: &str, cost: &Cost) {
    println!("round {round}: {what}: {cost}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_to_a_node_or_its_links_nothing_acknowledged_is_lost_and_others_answer() {
    let mut stage = Stage::set(PEOPLE).await.unwrap();
    for round in 0..rounds() {
        let node = round % stage.cluster.nodes.len();
        tell(round, "killed and started again", &ended::killed_and_started_again(&mut stage, node).await);
        tell(round, "killed, back much later", &ended::killed_without_restart(&mut stage, node).await);
        tell(round, "suspended for 30 s", &ended::suspended(&mut stage, node).await);
        tell(round, "cut off from its peers", &cut::from_peers(&mut stage, node).await);
        tell(round, "cut off from the database", &cut::from_the_database(&mut stage, node).await);
        tell(round, "cut off from everything", &cut::from_everything(&mut stage, node).await);
    }
    stage.unlock_all().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_database_is_back_all_go_on_and_no_node_has_died() {
    let mut stage = Stage::set(PEOPLE).await.unwrap();
    // each meets other connections half open than the one before
    for round in 0..3 * rounds() {
        tell(round, "the database restarted", &database::restarted(&mut stage).await);
    }
    stage.unlock_all().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drain_and_rolling_restart_fail_no_call() {
    let mut stage = Stage::set(PEOPLE).await.unwrap();
    for round in 0..rounds() {
        let node = round % stage.cluster.nodes.len();
        tell(round, "drained and resumed", &planned::drained(&mut stage, node, round).await);
        tell(round, "rolling restart", &planned::rolling_restart(&mut stage).await);
    }
    stage.unlock_all().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_upgrade_and_back_fails_no_call_while_both_releases_own_and_forward() {
    let mut stage = Stage::set(UPGRADED).await.unwrap();
    tell(0, "upgraded", &upgrade::one_after_the_other_and_one_back(&mut stage).await);
    upgrade::a_step_that_takes_away_keeps_the_older_release_out(&mut stage).await;
    stage.unlock_all().await.unwrap();
}
