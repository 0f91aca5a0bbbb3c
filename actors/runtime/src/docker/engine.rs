//! The connection to the engine: made when first needed, so that a node starts while Docker is down.

use std::{sync::OnceLock, time::Duration};

use bollard::{API_DEFAULT_VERSION, Docker, errors::Error as DockerError, models::SystemInfo};

use super::confinement::Confinement;
use crate::{ContainerRef, RuntimeError};

/// How long an answer may take, pulls and stops with grace excepted.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// A Docker engine behind a Unix socket. TCP is not offered: it is root on that host without a password.
#[derive(Debug)]
pub struct Engine {
    socket: String,
    client: OnceLock<Docker>,
}

impl Engine {
    /// The engine at `url`, `unix:///…` or a path. Nothing is sent yet.
    ///
    /// # Errors
    /// `Refused` for any other scheme.
    pub fn at(url: &str) -> Result<Self, RuntimeError> {
        let socket = url.strip_prefix("unix://").unwrap_or(url);
        if !socket.starts_with('/') {
            return Err(RuntimeError::Refused(format!(
                "{url} is not a Unix socket: only unix:///path is taken"
            )));
        }
        Ok(Self { socket: socket.to_owned(), client: OnceLock::new() })
    }

    /// The client.
    ///
    /// # Errors
    /// `EngineDown` when the socket is not there.
    pub fn docker(&self) -> Result<&Docker, RuntimeError> {
        if let Some(docker) = self.client.get() {
            return Ok(docker);
        }
        let docker = Docker::connect_with_unix(&self.socket, ANSWER_WITHIN.as_secs(), API_DEFAULT_VERSION)
            .map_err(|error| fault(&error))?;
        Ok(self.client.get_or_init(|| docker))
    }

    /// The process that listens at the socket: the engine's, or the one that started it with the socket open, and the
    /// mounts that it sees are those that containers get.
    ///
    /// # Errors
    /// `EngineDown`; also where it is in another container or on another machine, from where it has no id here.
    pub async fn process(&self) -> Result<u32, RuntimeError> {
        let away = |error: std::io::Error| RuntimeError::EngineDown(error.to_string());
        let connection = tokio::net::UnixStream::connect(&self.socket).await.map_err(away)?;
        let process = connection.peer_cred().map_err(away)?.pid().and_then(|pid| u32::try_from(pid).ok());
        process
            .filter(|pid| *pid > 0)
            .ok_or_else(|| RuntimeError::EngineDown("its process is not seen from here".to_owned()))
    }

    /// What the engine says of itself.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn info(&self) -> Result<SystemInfo, RuntimeError> {
        self.docker()?.info().await.map_err(|error| fault(&error))
    }
}

/// What keeps this engine from holding the profile, in words for an operator.
pub(super) fn shortcomings(info: &SystemInfo, confinement: &Confinement) -> Vec<String> {
    let mut found = Vec::new();
    let mut want = |there: bool, words: &str| {
        if !there {
            found.push(words.to_owned());
        }
    };
    let seccomp = info
        .security_options
        .iter()
        .flatten()
        .any(|option| option.starts_with("name=seccomp") && !option.contains("unconfined"));
    want(seccomp, "docker runs without its default seccomp profile");
    want(info.memory_limit == Some(true), "the kernel does not limit memory");
    want(
        info.swap_limit == Some(true),
        "the kernel does not limit swap: a container may use more than its memory",
    );
    want(info.pids_limit == Some(true), "the kernel does not limit processes");
    want(info.cpu_shares == Some(true), "the kernel does not weigh processors");
    found.extend(confinement.lacking(info));
    found
}

/// An engine's error that has nothing to do with one container.
pub(super) fn fault(error: &DockerError) -> RuntimeError {
    match error {
        DockerError::DockerResponseServerError { status_code: 404, message }
            if message.to_lowercase().contains("no such image") =>
        {
            RuntimeError::ImageMissing(message.clone())
        }
        DockerError::DockerResponseServerError { status_code, message } => {
            RuntimeError::Engine { status: *status_code, message: message.clone() }
        }
        DockerError::DockerStreamError { error } => {
            RuntimeError::Engine { status: 0, message: error.clone() }
        }
        DockerError::RequestTimeoutError => RuntimeError::TimedOut(ANSWER_WITHIN),
        other => RuntimeError::EngineDown(other.to_string()),
    }
}

/// An engine's error about `container`, which was to be `call`ed.
pub(super) fn fault_of<'a>(
    container: &'a ContainerRef,
    call: &'static str,
) -> impl Fn(DockerError) -> RuntimeError + 'a {
    move |error| match (&error, fault(&error)) {
        (_, RuntimeError::Engine { status: 404, .. }) => RuntimeError::NotFound(*container),
        (_, RuntimeError::Engine { status: 409, message }) => {
            RuntimeError::conflict(container, call, message)
        }
        (_, fault) => fault,
    }
}
