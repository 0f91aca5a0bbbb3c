//! After the healing: every tenant answers through every node, every container wakes, rows and engines come to
//! agree, and no timer stays overdue. Whoever is stuck is reported.

use std::time::Duration;

use ocmt_types::Timestamp;

use super::{
    ask::{Answer, What},
    client::{self, Outcome, Person, TENANTS},
    clock::START,
    invariants::rows_say_what_lives,
    keeper::signs_in,
    ledger::OVERDUE,
    world::Tree,
};

/// An operation that was cut off is looked at after a minute.
const CONVERGES: Duration = Duration::from_secs(100);
const LOOK: Duration = Duration::from_millis(500);

/// Looks from `from` on, in milliseconds.
///
/// # Errors
/// None; the type is the simulator's.
pub(crate) async fn last_look(tree: Tree, from: u64) -> turmoil::Result {
    while tree.ground.now() < from {
        tokio::time::sleep(Duration::from_millis(100)).await; // why: chaos and healing take simulated time
    }
    for n in 1..=TENANTS {
        for machine in 0..tree.hosts.len() {
            answers(&tree, n, machine).await;
        }
        wakes(&tree, n).await;
    }
    converges(&tree).await;
    Ok(())
}

/// Somebody of a tenant, with the session they had.
fn somebody(tree: &Tree, n: u64, token: &str) -> Person {
    let mut person = Person::new(tree.clone(), n, String::new(), 9 + n);
    person.tenant = tree.known(n).tenant;
    token.clone_into(&mut person.token);
    person
}

async fn answers(tree: &Tree, n: u64, machine: usize) {
    let owner = somebody(tree, n, &tree.known(n).owner);
    let mut why = String::new();
    for _ in 0..20 {
        match owner.does(machine, "last read", What::GetVault).await {
            Outcome::Done(_) => return,
            Outcome::Refused(error) => why = error.to_string(),
            Outcome::Unknown => "no answer".clone_into(&mut why),
        }
        tokio::time::sleep(LOOK).await; // why: the pause between two tries, in simulated time
    }
    tree.violation(&format!("tenant {n} is stuck at n{}: {why}", machine + 1));
}

async fn wakes(tree: &Tree, n: u64) {
    let mut member = Person::new(tree.clone(), n, client::member(n), 20 + n);
    (member.tenant, member.token) = (tree.known(n).tenant, tree.known(n).member);
    if member.token.is_empty() && !signs_in(&mut member).await {
        tree.note(format!("{} has not come in", member.email));
        return;
    }
    let mut why = String::new();
    for turn in 0..30 {
        let machine = turn % tree.hosts.len();
        tokio::time::sleep(LOOK).await; // why: the pause between two tries, in simulated time
        let container = match member.does(machine, "last list", What::List).await {
            Outcome::Done(Answer::Containers(all)) if all.is_empty() => return,
            Outcome::Done(Answer::Containers(all)) => all[0].id,
            Outcome::Refused(error) => {
                why = error.to_string();
                continue;
            }
            _ => {
                "no answer to a list".clone_into(&mut why);
                continue;
            }
        };
        match member.does(machine, "last wake", What::Wake(container)).await {
            Outcome::Done(_) => return,
            // it is being removed, which takes a minute if its host was not there
            Outcome::Refused(error) if error.reason() == "NOT_FOUND" => return,
            Outcome::Refused(error) => why = error.to_string(),
            Outcome::Unknown => "no answer".clone_into(&mut why),
        }
    }
    tree.violation(&format!("the container of tenant {n} does not wake: {why}"));
}

async fn converges(tree: &Tree) {
    let (mut waited, mut left) = (Duration::ZERO, Vec::new());
    while waited < CONVERGES {
        left = rows_say_what_lives::look(tree).await;
        let now = Timestamp(START + i64::try_from(tree.ground.now()).unwrap_or(0) - OVERDUE);
        let late = tree.ground.store.cluster().due_timers(now, 100).await.unwrap_or_default();
        left.extend(late.iter().map(|timer| format!("{} {} is overdue", timer.kind, timer.subject)));
        if left.is_empty() {
            return;
        }
        tokio::time::sleep(LOOK).await; // why: the pause between two looks at a level, in simulated time
        waited += LOOK;
    }
    left.iter().for_each(|what| tree.violation(what));
}
