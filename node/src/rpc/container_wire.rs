//! Containers between the wire's messages and the actors' types.

use std::time::Duration;

use ocmt_actors::{
    HostStanding,
    api::container::{
        AwakeKind, AwakeReason, ContainerExit, ContainerInfo, ContainerSpec, ContainerState, IdleExplained,
        RuntimeKind, Unsealed, VolumeFault, Wake, WakeKind,
    },
};
use ocmt_proto::v1 as pb;
use tonic::{Response, Status, metadata::MetadataValue};

use super::convert;

/// What the caller chose.
pub(super) fn to_spec(spec: &pb::ContainerSpec, default_image: &str) -> Result<ContainerSpec, Status> {
    let hibernation = spec.hibernation.unwrap_or_default();
    let port = u16::try_from(spec.workload_port)
        .map_err(|_| convert::invalid("spec.workload_port", "is above 65535"))?;
    Ok(ContainerSpec {
        image: if spec.image.is_empty() { default_image.to_owned() } else { spec.image.clone() },
        argv: spec.workload_argv.clone(),
        workload_port: Some(port).filter(|port| *port != 0),
        memory_bytes: chosen(i64::try_from(spec.memory_bytes).unwrap_or(i64::MAX)),
        pids: chosen(i64::from(spec.pids)),
        cpu_shares: chosen(i64::from(spec.cpu_shares)),
        pause_after_ms: hibernation.pause_after.as_ref().map(convert::millis),
        stop_after_ms: hibernation.stop_after.as_ref().map(convert::millis),
        gateway_plain: spec.gateway_plain,
        sealed_volume_bytes: chosen(i64::try_from(spec.sealed_volume_bytes).unwrap_or(i64::MAX)),
    })
}

/// 0 is the node's default.
fn chosen(value: i64) -> Option<i64> {
    Some(value).filter(|value| *value != 0)
}

pub(super) fn container(info: &ContainerInfo) -> pb::Container {
    let away = info.host_is == HostStanding::Away;
    pb::Container {
        container_id: info.id.to_string(),
        user_id: info.user.to_string(),
        state: if away { pb::ContainerState::Unreachable } else { state(info.state) }.into(),
        last_known_state: if away { state(info.state) } else { pb::ContainerState::Unspecified }.into(),
        spec: Some(spec(&info.spec)),
        generation: info.generation,
        host_node_id: info.host.to_string(),
        cell_locked: info.unlocked_until.is_none(),
        unlocked_until: info.unlocked_until.map(convert::time),
        created_at: Some(convert::time(info.created_at)),
        state_since: Some(convert::time(info.state_since)),
        last_activity_at: Some(convert::time(info.active_at)),
        workload_exit: info.exit.map(exit),
        failure: info.failure.clone().unwrap_or_default(),
        volume_unsealed: info.unsealed.map(volume_unsealed),
        runtime: match info.runtime {
            RuntimeKind::Docker => pb::RuntimeKind::Docker,
            RuntimeKind::Process => pb::RuntimeKind::Process,
            RuntimeKind::Sim => pb::RuntimeKind::Sim,
        }
        .into(),
    }
}

fn volume_unsealed(unsealed: Unsealed) -> pb::VolumeUnsealed {
    let why = match unsealed.why {
        VolumeFault::HostFull => pb::VolumeFault::HostFull,
        VolumeFault::Names => pb::VolumeFault::Names,
        VolumeFault::Restless => pb::VolumeFault::Restless,
        VolumeFault::File => pb::VolumeFault::File,
        VolumeFault::Unknown => pb::VolumeFault::Unspecified,
    };
    pb::VolumeUnsealed { since: Some(convert::time(unsealed.since)), why: why.into(), lost: unsealed.lost }
}

fn spec(spec: &ContainerSpec) -> pb::ContainerSpec {
    let time = |millis: Option<i64>| millis.map(convert::duration);
    pb::ContainerSpec {
        image: spec.image.clone(),
        workload_argv: spec.argv.clone(),
        workload_port: spec.workload_port.map(u32::from).unwrap_or_default(),
        memory_bytes: spec.memory_bytes.and_then(|n| u64::try_from(n).ok()).unwrap_or_default(),
        pids: spec.pids.and_then(|n| u32::try_from(n).ok()).unwrap_or_default(),
        cpu_shares: spec.cpu_shares.and_then(|n| u32::try_from(n).ok()).unwrap_or_default(),
        hibernation: Some(pb::HibernationPolicy {
            pause_after: time(spec.pause_after_ms),
            stop_after: time(spec.stop_after_ms),
            ..Default::default()
        }),
        gateway_plain: spec.gateway_plain,
        sealed_volume_bytes: spec.sealed_volume_bytes.and_then(|n| u64::try_from(n).ok()).unwrap_or_default(),
    }
}

/// An exit code above 128 tells of a signal.
fn exit(exit: ContainerExit) -> pb::WorkloadExit {
    let code = exit.code.and_then(|code| u32::try_from(code).ok()).unwrap_or_default();
    pb::WorkloadExit {
        code,
        signal: code.checked_sub(128).filter(|signal| (1..=64).contains(signal)).unwrap_or_default(),
        out_of_memory: exit.out_of_memory,
        at: Some(convert::time(exit.at)),
    }
}

pub(super) fn state(state: ContainerState) -> pb::ContainerState {
    match state {
        ContainerState::Absent => pb::ContainerState::Absent,
        ContainerState::Creating => pb::ContainerState::Creating,
        ContainerState::Running => pb::ContainerState::Running,
        ContainerState::Pausing => pb::ContainerState::Pausing,
        ContainerState::Paused => pb::ContainerState::Paused,
        ContainerState::Stopping => pb::ContainerState::Stopping,
        ContainerState::Stopped => pb::ContainerState::Stopped,
        ContainerState::Waking => pb::ContainerState::Waking,
        ContainerState::Failed => pb::ContainerState::Failed,
        ContainerState::Held => pb::ContainerState::Held,
    }
}

pub(super) fn explained(it: &IdleExplained) -> pb::ExplainIdleResponse {
    pb::ExplainIdleResponse {
        state: state(it.state).into(),
        last_activity_at: Some(convert::time(it.active_at)),
        reasons: it.reasons.iter().map(reason).collect(),
        pause_due_at: it.pause_due_at.map(convert::time),
        stop_due_at: it.stop_due_at.map(convert::time),
        unlocked_until: it.unlocked_until.map(convert::time),
        next_wake_at: it.next_wake_at.map(convert::time),
    }
}

fn reason(reason: &AwakeReason) -> pb::AwakeReason {
    let kind = match reason.kind {
        AwakeKind::Channel => pb::AwakeKind::Channel,
        AwakeKind::Exec => pb::AwakeKind::Exec,
        AwakeKind::Logs => pb::AwakeKind::Logs,
        AwakeKind::Work => pb::AwakeKind::Work,
        AwakeKind::JustWoken => pb::AwakeKind::JustWoken,
    };
    pb::AwakeReason {
        kind: kind.into(),
        count: reason.count,
        last_at: reason.last_at.map(convert::time),
        until: reason.until.map(convert::time),
    }
}

pub(super) fn wake_kind(kind: WakeKind) -> pb::WakeKind {
    match kind {
        WakeKind::None => pb::WakeKind::None,
        WakeKind::Unpause => pb::WakeKind::Unpause,
        WakeKind::Start => pb::WakeKind::Start,
        WakeKind::Create => pb::WakeKind::Create,
    }
}

pub(super) fn span(time: Duration) -> prost_types::Duration {
    convert::duration(i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
}

/// An answer that says how the container was brought back for it.
pub(super) fn with_wake<T>(message: T, wake: Wake) -> Response<T> {
    let mut answer = Response::new(message);
    answer.metadata_mut().insert("ocmt-wake-kind", MetadataValue::from_static(wake.kind.as_str()));
    answer.metadata_mut().insert(
        "ocmt-wake-ms",
        MetadataValue::from(u64::try_from(wake.time.as_millis()).unwrap_or(u64::MAX)),
    );
    answer
}
