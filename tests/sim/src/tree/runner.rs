//! The second user of a tenant: comes in by invitation, and makes, wakes, pauses, stops and removes a container.

use ocmt_actors::api::container::ContainerSpec;
use ocmt_types::ContainerId;
use rand::RngExt as _;

use super::{
    ask::{Answer, What},
    client::{Outcome, Person, TENANTS, member},
    keeper::signs_in,
    mail::Brings,
    world::Tree,
};

/// The member's life until `until`, in milliseconds.
///
/// # Errors
/// None; the type is the simulator's.
pub(crate) async fn runner(tree: Tree, n: u64, until: u64) -> turmoil::Result {
    let mut me = Person::new(tree.clone(), n, member(n), TENANTS + n);
    let mut inside = false;
    while !inside && tree.ground.now() < until {
        inside = me.enters(None, Brings::Invite).await || signs_in(&mut me).await;
    }
    tree.learn(n, |known| known.member.clone_from(&me.token));
    let mut container = None;
    while tree.ground.now() < until {
        let machine = me.any();
        container = match container {
            None => made(&me, machine).await,
            Some(id) => match me.rng.random_range(0..24) {
                0..11 => driven(&me, machine, "wake", What::Wake(id), id).await,
                11..15 => driven(&me, machine, "pause", What::Pause(id), id).await,
                15..19 => driven(&me, machine, "stop", What::Stop(id), id).await,
                19 => driven(&me, machine, "remove", What::Remove(id), id).await,
                20 => {
                    if signs_in(&mut me).await {
                        tree.learn(n, |known| known.member.clone_from(&me.token));
                    }
                    Some(id)
                }
                _ => first(me.does(machine, "list", What::List).await, Some(id)),
            },
        };
        tree.learn(n, |known| known.container = container);
        me.thinks(1_600).await;
    }
    Ok(())
}

/// The container that there is, or a new one.
async fn made(me: &Person, machine: usize) -> Option<ContainerId> {
    let found = first(me.does(machine, "list", What::List).await, None);
    if found.is_some() {
        return found;
    }
    match me.does(machine, "create", What::Create(Box::new(spec()))).await {
        Outcome::Done(Answer::Container(info)) => Some(info.id),
        _ => None,
    }
}

fn first(outcome: Outcome, otherwise: Option<ContainerId>) -> Option<ContainerId> {
    match outcome {
        Outcome::Done(Answer::Containers(all)) => all.first().map(|info| info.id),
        _ => otherwise,
    }
}

async fn driven(
    me: &Person,
    machine: usize,
    name: &'static str,
    what: What,
    id: ContainerId,
) -> Option<ContainerId> {
    match me.does(machine, name, what).await {
        Outcome::Refused(error) if error.reason() == "NOT_FOUND" => None,
        _ => Some(id),
    }
}

/// Idle clocks of seconds, so that they come round within a run.
fn spec() -> ContainerSpec {
    ContainerSpec {
        image: format!("sha256:{}", "0".repeat(64)),
        argv: vec!["/app".to_owned()],
        workload_port: Some(8080),
        memory_bytes: None,
        pids: None,
        cpu_shares: None,
        pause_after_ms: Some(3_000),
        stop_after_ms: Some(8_000),
        gateway_plain: false,
        sealed_volume_bytes: None,
    }
}
