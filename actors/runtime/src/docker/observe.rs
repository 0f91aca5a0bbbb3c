//! From Docker's words to ours: one container's state.

use std::net::IpAddr;

use bollard::models::{ContainerInspectResponse, ContainerStateStatusEnum as Status};
use ocmt_types::Timestamp;

use crate::{CELL_PORT, CellAddress, Exit, Labels, Observed, ParseLabelsError, State};

/// What `docker inspect` says, in our words.
///
/// # Errors
/// The container does not carry our labels.
pub(super) fn observed(inspect: &ContainerInspectResponse) -> Result<Observed, ParseLabelsError> {
    let none = std::collections::HashMap::new();
    let labels =
        Labels::from_map(inspect.config.as_ref().and_then(|config| config.labels.as_ref()).unwrap_or(&none))?;
    let container = labels.container_ref();
    let raw = inspect.state.clone().unwrap_or_default();
    let state = match raw.status {
        Some(Status::CREATED) => State::Created,
        Some(Status::PAUSED) => State::Paused,
        Some(Status::RUNNING | Status::RESTARTING | Status::STOPPING) => State::Running,
        Some(Status::EXITED | Status::DEAD | Status::REMOVING | Status::EMPTY) | None => State::Stopped,
    };
    let lives = matches!(state, State::Running | State::Paused);
    let networks = inspect.network_settings.as_ref().and_then(|settings| settings.networks.as_ref());
    let address = networks.and_then(|networks| {
        networks.get(&container.to_string())?.ip_address.as_deref()?.parse::<IpAddr>().ok()
    });
    Ok(Observed {
        container,
        labels,
        state,
        exit: (state == State::Stopped)
            .then_some(Exit { code: raw.exit_code, oom: raw.oom_killed.unwrap_or(false) }),
        started_at: raw.started_at.as_deref().and_then(time),
        address: address.filter(|_| lives).map(|ip| CellAddress((ip, CELL_PORT).into())),
    })
}

/// Docker writes the year 1 for "never".
fn time(text: &str) -> Option<Timestamp> {
    Some(Timestamp(text.parse::<jiff::Timestamp>().ok()?.as_millisecond())).filter(|at| at.0 > 0)
}
