//! Containers as answers tell of them.

use std::time::Duration;

use ocmt_proto::v1 as pb;
use ocmt_types::{ContainerId, NodeId, Timestamp, UserId};
use serde::Serialize;

use crate::{ClientError, client::id, wire::time};

/// What to run. What is absent is the node's default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spec {
    /// Image by digest, or a name the node's configuration maps to one; empty for the node's own.
    pub image: String,
    /// Program and arguments, without a shell; empty for the image's own. The node sees them.
    pub argv: Vec<String>,
    /// Port on loopback that the workload serves.
    pub workload_port: Option<u16>,
    /// Memory limit.
    pub memory_bytes: Option<u64>,
    /// Most processes and threads.
    pub pids: Option<u32>,
    /// CPU weight.
    pub cpu_shares: Option<u32>,
    /// Idle time until it is paused, where it differs from the tenant's policy.
    pub pause_after: Option<Duration>,
    /// Idle time until it is stopped.
    pub stop_after: Option<Duration>,
    /// The gateway carries the workload's own HTTP and WebSockets: its node can read them.
    pub gateway_plain: bool,
    /// Size of the sealed volume; none for a volume of plain files.
    pub sealed_volume_bytes: Option<u64>,
}

/// Where a container is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Recorded, not made yet.
    Absent,
    /// Being made.
    Creating,
    /// Running.
    Running,
    /// On its way to paused.
    Pausing,
    /// Frozen, memory kept.
    Paused,
    /// On its way to stopped.
    Stopping,
    /// Stopped, volume kept.
    Stopped,
    /// On its way to running.
    Waking,
    /// Could not be brought up.
    Failed,
    /// In quarantine.
    Held,
    /// Its host does not answer.
    Unreachable,
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&format!("{self:?}").to_lowercase())
    }
}

/// How a workload ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Exit {
    /// Exit status; 128 + n for a signal.
    pub code: u32,
    /// It ran out of memory.
    pub out_of_memory: bool,
    /// When.
    pub at: Option<Timestamp>,
}

/// A sealed volume that was not sealed the last time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Unsealed {
    /// The first sealing that failed since one succeeded.
    pub since: Option<Timestamp>,
    /// Why the latest failed.
    pub why: VolumeFault,
    /// The cell has locked since: what was not sealed is lost.
    pub lost: bool,
}

/// Why a sealed volume was not sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VolumeFault {
    /// Its host has no room for another sealing.
    HostFull,
    /// Names of files take too much room, a path is too long, or folders lie too deep.
    Names,
    /// Something wrote while it was copied, each time.
    Restless,
    /// A file of the volume or of the host could not be read or written.
    File,
    /// Its cell did not say.
    Unknown,
}

/// One container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Container {
    /// Which.
    pub id: ContainerId,
    /// Whose.
    pub user: UserId,
    /// Where it is in its life.
    pub state: State,
    /// While its host does not answer: where it was when the host was last heard of.
    pub last_known_state: Option<State>,
    /// The image it runs.
    pub image: String,
    /// Size of its sealed volume; 0 if its volume is plain files of the host.
    pub sealed_volume_bytes: u64,
    /// Goes up each time it is made anew.
    pub generation: u64,
    /// The host it is pinned to, as the node says.
    pub host: Option<NodeId>,
    /// `docker`, `process` (isolates nothing) or `sim`.
    pub runtime: String,
    /// Whether its cell is locked.
    pub locked: bool,
    /// When the cell locks.
    pub unlocked_until: Option<Timestamp>,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// When it came to this state.
    pub state_since: Option<Timestamp>,
    /// Last activity that counts.
    pub last_activity_at: Option<Timestamp>,
    /// How its workload ended last.
    pub exit: Option<Exit>,
    /// Why it failed or is held.
    pub failure: String,
    /// That its sealed volume was not sealed the last time.
    pub unsealed: Option<Unsealed>,
}

/// Something that holds a container awake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AwakeReason {
    /// What: `channel`, `exec`, `logs`, `http`, `work`, `schedule`, `just woken`.
    pub kind: String,
    /// How many.
    pub count: u32,
    /// Last activity of it.
    pub last_at: Option<Timestamp>,
    /// Until when it holds.
    pub until: Option<Timestamp>,
}

/// Why a container is awake and when it will sleep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Idle {
    /// Where it is.
    pub state: State,
    /// Last activity that counts.
    pub last_activity_at: Option<Timestamp>,
    /// What holds it awake now.
    pub reasons: Vec<AwakeReason>,
    /// When it will be paused if nothing happens.
    pub pause_due_at: Option<Timestamp>,
    /// When it will be stopped if nothing happens.
    pub stop_due_at: Option<Timestamp>,
    /// When the cell locks; none if it is locked.
    pub unlocked_until: Option<Timestamp>,
    /// When a schedule wakes it next.
    pub next_wake_at: Option<Timestamp>,
}

pub(super) fn parse(container: pb::Container) -> Result<Container, ClientError> {
    let runtime = match container.runtime() {
        pb::RuntimeKind::Docker => "docker",
        pb::RuntimeKind::Process => "process",
        pb::RuntimeKind::Sim => "sim",
        pb::RuntimeKind::Unspecified => "unknown",
    };
    let host = match container.host_node_id.as_str() {
        "" => None,
        host => Some(id(host, "host_node_id")?),
    };
    Ok(Container {
        id: id(&container.container_id, "container_id")?,
        user: id(&container.user_id, "user_id")?,
        state: state(container.state())?,
        last_known_state: state(container.last_known_state()).ok(),
        sealed_volume_bytes: container.spec.as_ref().map(|spec| spec.sealed_volume_bytes).unwrap_or_default(),
        image: container.spec.map(|spec| spec.image).unwrap_or_default(),
        generation: container.generation,
        host,
        runtime: runtime.to_owned(),
        locked: container.cell_locked,
        unlocked_until: container.unlocked_until.as_ref().map(time),
        created_at: container.created_at.as_ref().map(time),
        state_since: container.state_since.as_ref().map(time),
        last_activity_at: container.last_activity_at.as_ref().map(time),
        exit: container.workload_exit.map(|exit| Exit {
            code: if exit.signal == 0 { exit.code } else { 128 + exit.signal },
            out_of_memory: exit.out_of_memory,
            at: exit.at.as_ref().map(time),
        }),
        failure: container.failure,
        unsealed: container.volume_unsealed.as_ref().map(unsealed),
    })
}

fn unsealed(unsealed: &pb::VolumeUnsealed) -> Unsealed {
    Unsealed {
        since: unsealed.since.as_ref().map(time),
        why: match unsealed.why() {
            pb::VolumeFault::Unspecified => VolumeFault::Unknown,
            pb::VolumeFault::HostFull => VolumeFault::HostFull,
            pb::VolumeFault::Names => VolumeFault::Names,
            pb::VolumeFault::Restless => VolumeFault::Restless,
            pb::VolumeFault::File => VolumeFault::File,
        },
        lost: unsealed.lost,
    }
}

pub(super) fn state(state: pb::ContainerState) -> Result<State, ClientError> {
    Ok(match state {
        pb::ContainerState::Unspecified => return Err(ClientError::Answer("state")),
        pb::ContainerState::Absent => State::Absent,
        pb::ContainerState::Creating => State::Creating,
        pb::ContainerState::Running => State::Running,
        pb::ContainerState::Pausing => State::Pausing,
        pb::ContainerState::Paused => State::Paused,
        pb::ContainerState::Stopping => State::Stopping,
        pb::ContainerState::Stopped => State::Stopped,
        pb::ContainerState::Waking => State::Waking,
        pb::ContainerState::Failed => State::Failed,
        pb::ContainerState::Held => State::Held,
        pb::ContainerState::Unreachable => State::Unreachable,
    })
}

pub(super) fn reason(reason: &pb::AwakeReason) -> AwakeReason {
    let kind = match reason.kind() {
        pb::AwakeKind::Unspecified => "something",
        pb::AwakeKind::Channel => "channel",
        pb::AwakeKind::Exec => "exec",
        pb::AwakeKind::Logs => "logs",
        pb::AwakeKind::Http => "http",
        pb::AwakeKind::Work => "work",
        pb::AwakeKind::Schedule => "schedule",
        pb::AwakeKind::JustWoken => "just woken",
    };
    AwakeReason {
        kind: kind.to_owned(),
        count: reason.count,
        last_at: reason.last_at.as_ref().map(time),
        until: reason.until.as_ref().map(time),
    }
}
