//! Admissions of what changes a container's life.

use ocmt_runtime::{MAX_SEALED_VOLUME, RuntimeKind};
use ocmt_store::tables::{Container, ContainerState, DesiredState};
use ocmt_types::{ContainerId, UserId};

use super::{
    super::{group, pairing},
    About, Act, Admission, again, events, load, load_free,
    place::place,
    schedule, snapshot, store, stored,
};
use crate::{
    agent_policy::stored as stored_policy,
    api::container::{
        ContainerInfo, ContainerSpec, CreateContainer, HoldContainer, PauseContainer, ReleaseContainer,
        RemoveContainer, StartContainer, StopContainer, WakeContainer, Woken,
    },
    authorize::{Action, Object},
    call::{Repeat, Reply},
    error::ActorError,
    host::{
        container::{
            check_sandbox, image,
            row::{changed, see_to},
        },
        message::{At, What},
    },
    tenant::quota,
    work::Work,
};

/// The longest reason of a hold or release, in bytes.
const REASON: usize = 500;
const LONGEST_GRACE_MS: u128 = 300_000;

/// What is the same for all acts: how they are stored.
macro_rules! act {
    ($request:ty: $action:ident, $reply:ty, $order:expr, $self:ident, $work:ident => $admit:block) => {
        impl Admission for $request {
            type Pass = Act;
            const REPEAT: Repeat = Repeat::Replays;
            fn store(pass: &Act) -> Option<Vec<u8>> {
                store(pass)
            }
            fn stored(bytes: &[u8]) -> Option<Act> {
                stored(bytes)
            }
            fn order(act: Act, about: About, reply: Reply<$reply>) -> (At, What) {
                let order: fn(&Act, About, Reply<$reply>) -> What = $order;
                (act.at, order(&act, about, reply))
            }
            async fn again(act: Act, work: &mut Work) -> Result<Act, ActorError> {
                again(work, Action::$action, act).await
            }
            async fn admit($self, $work: &mut Work) -> Result<Act, ActorError> $admit
        }
    };
}

act!(CreateContainer: CreateContainer, Woken, created, self, work => {
    let user = match self.user {
        Some(user) => user,
        None => work.person()?,
    };
    work.authorize(Action::CreateContainer, &Object::of(user))?;
    let spec = self.spec;
    check(&spec)?;
    if spec.sealed_volume_bytes.is_some() && work.env.runtime.kind() == RuntimeKind::Process {
        let why = "needs Docker, and containers of this node are child processes: leave it out, or make the container at a node with Docker";
        return Err(ActorError::invalid("spec.sealed_volume_bytes", why));
    }
    image(&spec.image, work.env.mode)?;
    let container: ContainerId = work.env.id();
    work.object = format!("container/{container}");
    if work.tx.first::<Container>(Container::user_id.eq(user)).await?.is_some() {
        return Err(ActorError::AlreadyExists("a container of this user"));
    }
    quota::one_more_container(work).await?;
    if work.env.limits.volume_mib > 0 {
        quota::store_bytes(work, quota::volume_bytes(work.env.limits.volume_mib)).await?;
    }
    let host = place(work, memory_mib(&spec)).await?;
    if host == work.env.node {
        // any other looks when it starts it
        check_sandbox(&work.env, &stored_policy::held(&work.env, &mut work.tx, Some(user)).await?.effective)?;
    }
    let row = fresh(work, At { container, host }, user, &spec, self.start)?;
    work.tx.insert(&row).await?;
    events::changed(work, None, &row).await?;
    work.details.push(("host".to_owned(), host.to_string()));
    Ok(Act { settled: !self.start, ..Act::on(&row, work) })
});

fn created(act: &Act, about: About, reply: Reply<Woken>) -> What {
    if act.settled { What::Report(reply) } else { act.wake(about, reply) }
}

fn fresh(
    work: &Work,
    at: At,
    user: UserId,
    spec: &ContainerSpec,
    start: bool,
) -> Result<Container, ActorError> {
    let encoded = serde_json::to_vec(spec).map_err(|error| ActorError::invalid("spec", error.to_string()))?;
    Ok(Container {
        tenant_id: work.ownership.tenant,
        container_id: at.container,
        user_id: user,
        name: String::new(),
        host_node: at.host,
        generation: 1,
        desired: if start { DesiredState::Running } else { DesiredState::Stopped },
        observed: ContainerState::Absent,
        runtime_ref: None,
        cell_addr: None,
        image: spec.image.clone(),
        spec: encoded,
        memory_mib: memory_mib(spec),
        active_at: work.now,
        unlock_id: None,
        unlocked_until: None,
        start_secret: None,
        failure: None,
        exit_code: None,
        exit_oom: false,
        exited_at: None,
        version: 1,
        created_at: work.now,
        updated_at: work.now,
        erase_volume: false,
        volume_mib: work.env.limits.volume_mib,
        unsealed_since: None,
        unsealed_why: None,
        unsealed_lost: false,
    })
}

/// What a container reserves of its host's memory, in MiB, rounded up.
fn memory_mib(spec: &ContainerSpec) -> i64 {
    let bytes = spec.memory_bytes.unwrap_or(ocmt_runtime::Limits::default().memory_bytes);
    bytes.max(0).saturating_add((1 << 20) - 1) >> 20
}

/// Refuses what the engine would refuse later; how much is allowed is the engine's to say.
fn check(spec: &ContainerSpec) -> Result<(), ActorError> {
    if spec.argv.len() > 64 || spec.argv.iter().any(|arg| arg.len() > 4096 || arg.contains('\0')) {
        return Err(ActorError::invalid(
            "spec.workload_argv",
            "must be at most 64 arguments of at most 4096 bytes",
        ));
    }
    if spec.gateway_plain && spec.workload_port.is_none() {
        return Err(ActorError::invalid("spec.gateway_plain", "needs the workload's port"));
    }
    if let Some(bytes) = spec.sealed_volume_bytes {
        let memory = spec.memory_bytes.unwrap_or(ocmt_runtime::Limits::default().memory_bytes);
        if !(1 << 20..=MAX_SEALED_VOLUME.min(memory / 2)).contains(&bytes) {
            let why = "is not 1 to 64 MiB and at most half of the container's memory, which it counts as";
            return Err(ActorError::invalid("spec.sealed_volume_bytes", why));
        }
    }
    let day = 86_400_000;
    for (field, value) in [
        ("spec.hibernation.pause_after", spec.pause_after_ms),
        ("spec.hibernation.stop_after", spec.stop_after_ms),
    ] {
        if value.is_some_and(|value| !(500..=90 * day).contains(&value)) {
            return Err(ActorError::invalid(field, "is not between 500 ms and 90 days"));
        }
    }
    if let (Some(pause), Some(stop)) = (spec.pause_after_ms, spec.stop_after_ms)
        && stop <= pause
    {
        return Err(ActorError::invalid("spec.hibernation.stop_after", "must be longer than pause_after"));
    }
    Ok(())
}

async fn wake(work: &mut Work, container: ContainerId) -> Result<Act, ActorError> {
    let row = load_free(work, Action::UseContainer, container).await?;
    desire(work, row, DesiredState::Running).await
}

async fn desire(work: &mut Work, row: Container, desired: DesiredState) -> Result<Act, ActorError> {
    let act = Act::on(&row, work);
    if desired != DesiredState::Running {
        schedule::give_up(work, row.container_id).await?;
    }
    if row.desired != desired {
        let row = changed(work, row, |row| {
            row.desired = desired;
            Ok(())
        })
        .await?;
        see_to(work, &row).await?;
    }
    Ok(act)
}

/// It is to run, whoever asks for it.
pub(super) async fn want_running(work: &mut Work, row: Container) -> Result<(), ActorError> {
    desire(work, row, DesiredState::Running).await.map(drop)
}

act!(StartContainer: UseContainer, Woken, Act::wake, self, work => {
    wake(work, self.container).await
});

act!(WakeContainer: UseContainer, Woken, Act::wake, self, work => {
    wake(work, self.container).await
});

act!(PauseContainer: UseContainer, ContainerInfo, paused, self, work => {
    let row = load_free(work, Action::UseContainer, self.container).await?;
    desire(work, row, DesiredState::Paused).await
});

fn paused(act: &Act, about: About, reply: Reply<ContainerInfo>) -> What {
    if act.is_repeat(about) { What::Settle(reply) } else { What::Pause(reply) }
}

act!(StopContainer: UseContainer, ContainerInfo, stopped, self, work => {
    let grace = self.grace.as_millis();
    if grace > LONGEST_GRACE_MS {
        return Err(ActorError::invalid("grace", "is longer than 300 s"));
    }
    let row = load_free(work, Action::UseContainer, self.container).await?;
    let act = desire(work, row, DesiredState::Stopped).await?;
    Ok(Act { grace_ms: u64::try_from(grace).unwrap_or(0), ..act })
});

fn stopped(act: &Act, about: About, reply: Reply<ContainerInfo>) -> What {
    if act.is_repeat(about) {
        return What::Settle(reply);
    }
    What::Stop(std::time::Duration::from_millis(act.grace_ms), reply)
}

act!(RemoveContainer: RemoveContainer, (), removed, self, work => {
    let row = load(work, Action::RemoveContainer, self.container).await?;
    if self.delete_volume && work.standing.caller.person() != Some(row.user_id) {
        // what is in it is its user's: beside them only who may delete all of the tenant
        work.authorize(Action::DeleteTenant, &Object::TENANT)?;
    }
    if row.desired == DesiredState::Held {
        return Err(ActorError::precondition("CONTAINER_HELD", "the container is held: it must be released first"));
    }
    let row = with_volume(work, row, self.delete_volume).await?;
    group::forget_container(work, self.container).await?;
    pairing::forget_container(work, self.container).await?;
    schedule::forget_container(work, self.container).await?;
    snapshot::scheduled::forget(work, self.container).await?;
    desire(work, row, DesiredState::Absent).await
});

/// What was asked once is not taken back: the volume may be half gone.
async fn with_volume(work: &mut Work, row: Container, erase: bool) -> Result<Container, ActorError> {
    if !erase {
        return Ok(row);
    }
    work.details.push(("volume".to_owned(), "is erased".to_owned()));
    changed(work, row, |row| {
        row.erase_volume = true;
        Ok(())
    })
    .await
}

fn removed(_: &Act, _: About, reply: Reply<()>) -> What {
    // a repeat finds it gone, or goes on with it
    What::Remove(reply)
}

act!(HoldContainer: HoldContainer, ContainerInfo, held, self, work => {
    reason(&self.reason)?;
    let row = load(work, Action::HoldContainer, self.container).await?;
    if row.desired == DesiredState::Absent {
        return Err(ActorError::NotFound);
    }
    let act = Act::on(&row, work);
    schedule::give_up(work, self.container).await?;
    work.details.push(("reason".to_owned(), self.reason.clone()));
    let why = self.reason;
    let row = changed(work, row, |row| {
        row.desired = DesiredState::Held;
        if matches!(row.observed, ContainerState::Absent | ContainerState::Stopped | ContainerState::Failed) {
            row.observed = ContainerState::Held;
        }
        row.failure = Some(why);
        Ok(())
    })
    .await?;
    see_to(work, &row).await?;
    Ok(act)
});

fn held(act: &Act, about: About, reply: Reply<ContainerInfo>) -> What {
    // it may have been released since: an order would hold it where its row does not
    if act.is_repeat(about) { What::Settle(reply) } else { What::Hold(reply) }
}

act!(ReleaseContainer: ReleaseContainer, ContainerInfo, released, self, work => {
    reason(&self.reason)?;
    let row = load(work, Action::ReleaseContainer, self.container).await?;
    if row.desired != DesiredState::Held {
        return Err(ActorError::precondition("CONTAINER_NOT_HELD", "the container is not held"));
    }
    let act = Act::on(&row, work);
    work.details.push(("reason".to_owned(), self.reason));
    changed(work, row, |row| {
        row.desired = DesiredState::Stopped;
        if row.observed == ContainerState::Held {
            let made = row.runtime_ref.is_some();
            row.observed = if made { ContainerState::Stopped } else { ContainerState::Absent };
        }
        row.failure = None;
        Ok(())
    })
    .await?;
    Ok(act)
});

fn released(act: &Act, about: About, reply: Reply<ContainerInfo>) -> What {
    if act.is_repeat(about) { What::Settle(reply) } else { What::Release(reply) }
}

fn reason(text: &str) -> Result<(), ActorError> {
    if (1..=REASON).contains(&text.len()) && !text.chars().any(char::is_control) {
        return Ok(());
    }
    Err(ActorError::invalid("reason", "must be a line of 1 to 500 bytes"))
}
