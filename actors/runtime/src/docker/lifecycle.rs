//! The life of one container under Docker: made, started with its secret, frozen, thawed, ended, removed.

use std::{collections::HashMap, time::Duration};

use bollard::{
    Docker,
    errors::Error as DockerError,
    query_parameters::{
        AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, KillContainerOptionsBuilder,
        ListContainersOptionsBuilder, RemoveContainerOptionsBuilder, StopContainerOptionsBuilder,
    },
};
use futures_util::{StreamExt as _, stream};
use tokio::io::AsyncWriteExt as _;

use super::{
    DockerRuntime,
    engine::{fault, fault_of},
    network, observe,
    profile::Profile,
};
use crate::{CellAddress, ContainerRef, ContainerSpec, Labels, Observed, RuntimeError, StartSecret, State};

/// How long the engine may take beyond the grace of a stop.
const END_WITHIN: Duration = Duration::from_secs(20);
/// How long Docker may hold a container for what it was a moment ago.
const SETTLES_WITHIN: Duration = Duration::from_millis(100);
/// How long the engine may take to hand the start secret over; the cell need not have read it.
const SECRET_WITHIN: Duration = Duration::from_secs(10);

impl DockerRuntime {
    pub(super) async fn make(&self, spec: &ContainerSpec) -> Result<ContainerRef, RuntimeError> {
        let (container, config) = (spec.container_ref(), &self.config);
        self.check(spec).await?;
        let docker = self.engine.docker()?;
        match self.look(&container, "create").await {
            Err(RuntimeError::NotFound(_)) => {}
            Ok(there) => return Err(RuntimeError::conflict(&container, "create", there.state)),
            Err(error) => return Err(error),
        }
        let volume = self.volume_of(spec.tenant, spec.user, None).await?;

        let _one_at_a_time = self.creating.lock().await;
        let labels = spec.labels(config.node);
        let subnet = network::ensure(&self.engine, config.networks, &labels, spec.egress).await?;
        let profile = Profile {
            spec,
            labels,
            volume,
            subnet,
            resolvers: &config.resolvers,
            confinement: &config.confinement,
        };
        let options = CreateContainerOptionsBuilder::new().name(&container.to_string()).build();
        let created = docker
            .create_container(Some(options), profile.body())
            .await
            .map_err(fault_of(&container, "create"));
        match created {
            Ok(answer) => {
                for warning in answer.warnings {
                    tracing::warn!(%container, warning, "docker could not do all that was asked");
                }
                Ok(container)
            }
            // whether it is there is not known, or somebody else made it: the network may be in use
            Err(error) if error.outcome_unknown() || matches!(error, RuntimeError::Conflict { .. }) => {
                Err(error)
            }
            Err(error) => {
                if let Err(left) = network::remove(&self.engine, &container).await {
                    tracing::warn!(%container, error = %left, "network left behind");
                }
                Err(error)
            }
        }
    }

    /// Refuses what the profile or the configuration does not allow.
    pub(super) async fn check(&self, spec: &ContainerSpec) -> Result<(), RuntimeError> {
        spec.check(&self.config.ceiling, self.config.egress)?;
        if !self.config.images.contains(&spec.image) {
            return Err(RuntimeError::Refused(format!(
                "image {} is not among this node's images",
                spec.image
            )));
        }
        let image =
            self.engine.docker()?.inspect_image(spec.image.as_str()).await.map_err(|error| fault(&error))?;
        // a volume of the image would be a writable folder that nobody asked for
        if image.config.and_then(|config| config.volumes).is_some_and(|volumes| !volumes.is_empty()) {
            return Err(RuntimeError::Refused(format!("image {} declares volumes", spec.image)));
        }
        Ok(())
    }

    pub(super) async fn launch(
        &self,
        container: &ContainerRef,
        secret: &StartSecret,
    ) -> Result<CellAddress, RuntimeError> {
        let (docker, name) = (self.engine.docker()?, container.to_string());
        let before = self.look(container, "start").await?;
        if matches!(before.state, State::Running | State::Paused) {
            return Err(RuntimeError::conflict(container, "start", before.state));
        }
        self.mount_volume(before.labels.tenant, before.labels.user).await?;
        // attached before the start, or the cell could find its standard input at its end already
        let attach = AttachContainerOptionsBuilder::new().stdin(true).stream(true).build();
        let mut attached =
            docker.attach_container(&name, Some(attach)).await.map_err(fault_of(container, "start"))?;
        docker.start_container(&name, None).await.map_err(|error| {
            match fault_of(container, "start")(error) {
                RuntimeError::Engine { message, .. } => {
                    RuntimeError::StartFailed { container: *container, why: message }
                }
                fault => fault,
            }
        })?;
        let hand_over = async {
            attached.input.write_all(secret.expose()).await?;
            // the end of file is ours to send; the engine's own hang-up is not waited for: it comes when the
            // container ends if the start overtook the attachment inside the engine (seen one time in ten)
            attached.input.shutdown().await
        };
        match tokio::time::timeout(SECRET_WITHIN, hand_over).await {
            Ok(Ok(())) => {}
            // its death, if that is why, says more
            Ok(Err(error)) => tracing::debug!(%container, %error, "standard input broke"),
            Err(_) => return Err(RuntimeError::TimedOut(SECRET_WITHIN)),
        }
        let after = self.look(container, "start").await?;
        after.address.ok_or_else(|| RuntimeError::StartFailed {
            container: *container,
            why: format!("{:?} with {:?}", after.state, after.exit),
        })
    }

    pub(super) async fn freeze(&self, container: &ContainerRef) -> Result<(), RuntimeError> {
        let (docker, name) = (self.engine.docker()?, container.to_string());
        self.settle(container, "pause", State::Paused, || docker.pause_container(&name)).await
    }

    pub(super) async fn thaw(&self, container: &ContainerRef) -> Result<(), RuntimeError> {
        let (docker, name) = (self.engine.docker()?, container.to_string());
        self.settle(container, "unpause", State::Running, || docker.unpause_container(&name)).await
    }

    /// Makes a call until the state is as wanted. A refusal proves nothing: Docker 20.10 takes what its shim
    /// tells late, so that just after an unpause it may hold the container for paused again for a moment,
    /// and refuses a pause (409, "already paused") or an unpause (500, "cannot resume a running process").
    async fn settle<F: Future<Output = Result<(), DockerError>>>(
        &self,
        container: &ContainerRef,
        call: &'static str,
        wanted: State,
        ask: impl Fn() -> F,
    ) -> Result<(), RuntimeError> {
        let mut tries = 10;
        loop {
            let refusal = match ask().await.map_err(fault_of(container, call)) {
                Err(error @ (RuntimeError::Conflict { .. } | RuntimeError::Engine { .. })) => error,
                done => return done,
            };
            tokio::time::sleep(SETTLES_WITHIN).await;
            match self.look(container, call).await?.state {
                state if state == wanted => return Ok(()),
                state @ (State::Created | State::Stopped) => {
                    return Err(RuntimeError::conflict(container, call, state));
                }
                State::Running | State::Paused if tries == 0 => return Err(refusal),
                State::Running | State::Paused => tries -= 1,
            }
        }
    }

    pub(super) async fn end(&self, container: &ContainerRef, grace: Duration) -> Result<(), RuntimeError> {
        // Docker thaws by itself what it stops
        let seconds = i32::try_from(grace.as_millis().div_ceil(1000)).unwrap_or(i32::MAX);
        let options = StopContainerOptionsBuilder::new().t(seconds).build();
        // the engine answers when it has ended: its usual patience may be shorter than the grace
        let within = grace + END_WITHIN;
        let docker: Docker = self.engine.docker()?.clone().with_timeout(within);
        docker
            .stop_container(&container.to_string(), Some(options))
            .await
            .map_err(fault_of(container, "stop"))
    }

    pub(super) async fn end_now(&self, container: &ContainerRef) -> Result<(), RuntimeError> {
        let options = KillContainerOptionsBuilder::new().signal("SIGKILL").build();
        let (docker, name) = (self.engine.docker()?, container.to_string());
        let ended = |state| matches!(state, State::Created | State::Stopped);
        match docker.kill_container(&name, Some(options)).await.map_err(fault_of(container, "kill")) {
            Ok(()) => {}
            Err(error @ (RuntimeError::Conflict { .. } | RuntimeError::Engine { .. })) => {
                return if ended(self.look(container, "kill").await?.state) { Ok(()) } else { Err(error) };
            }
            Err(error) => return Err(error),
        }
        // the answer to the wait is the exit code, an error by bollard's lights when it is not zero
        let mut death = docker.wait_container(&name, None);
        tokio::time::timeout(END_WITHIN, death.next())
            .await
            .map_err(|_| RuntimeError::TimedOut(END_WITHIN))?;
        Ok(())
    }

    pub(super) async fn wipe(&self, container: &ContainerRef) -> Result<(), RuntimeError> {
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        match self
            .engine
            .docker()?
            .remove_container(&container.to_string(), Some(options))
            .await
            .map_err(fault_of(container, "remove"))
        {
            Ok(()) | Err(RuntimeError::NotFound(_)) => network::remove(&self.engine, container).await,
            Err(error) => Err(error),
        }
    }

    pub(super) async fn look(
        &self,
        container: &ContainerRef,
        call: &'static str,
    ) -> Result<Observed, RuntimeError> {
        let inspect = self
            .engine
            .docker()?
            .inspect_container(&container.to_string(), None)
            .await
            .map_err(fault_of(container, call))?;
        observe::observed(&inspect).map_err(|error| RuntimeError::conflict(container, call, error))
    }

    pub(super) async fn adoptable(&self) -> Result<Vec<Observed>, RuntimeError> {
        let docker = self.engine.docker()?;
        let label = HashMap::from([("label", vec![format!("{}={}", Labels::NODE, self.config.node)])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&label).build();
        let ids = docker
            .list_containers(Some(options))
            .await
            .map_err(|error| fault(&error))?
            .into_iter()
            .filter_map(|summary| summary.id);
        let mut found = Vec::new();
        let mut looks = stream::iter(ids)
            .map(|id| async move { docker.inspect_container(&id, None).await })
            .buffer_unordered(8);
        while let Some(look) = looks.next().await {
            match look.map_err(|error| fault(&error)) {
                Ok(inspect) => match observe::observed(&inspect) {
                    Ok(observed) => found.push(observed),
                    Err(error) => {
                        tracing::warn!(name = ?inspect.name, %error, "a container under our label is not ours");
                    }
                },
                // gone between the list and the look
                Err(RuntimeError::Engine { status: 404, .. }) => {}
                Err(error) => return Err(error),
            }
        }
        found.sort_by_key(|observed| observed.container.to_string());
        Ok(found)
    }
}
