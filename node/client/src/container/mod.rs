//! Containers: their life and what they are doing. What is sealed to their cells is in [`crate::cell`].

mod view;
mod watch;

use std::time::Duration;

use ocmt_proto::v1 as pb;
use ocmt_types::ContainerId;

use self::view::{parse, reason, state};
use crate::{
    Client, ClientError,
    client::{idempotency_key, present},
    gateway::Wake,
    pages::Pages,
    wire::{duration, millis, time},
};

pub use view::{AwakeReason, Container, Exit, Idle, Spec, State, Unsealed, VolumeFault};
pub use watch::{ContainerEvent, ContainerWatch, UnlockRequest, UnlockWatch, WakeCause};

macro_rules! moves {
    ($($(#[$doc:meta])* $name:ident => $method:ident($request:ident)),+ $(,)?) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        /// [`ClientError`].
        pub async fn $name(&self, container: ContainerId) -> Result<Container, ClientError> {
            let request = pb::$request {
                container_id: container.to_string(),
                idempotency_key: idempotency_key(),
            };
            let answer = self.containers().$method(request).await?.into_inner();
            parse(present(answer.container, "container")?)
        }
    )+};
}

impl Client {
    /// Makes the caller's container, and starts it if asked; it is locked then.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn create_container(&self, spec: &Spec, start: bool) -> Result<Container, ClientError> {
        let sleeps =
            (spec.pause_after.is_some() || spec.stop_after.is_some()).then(|| pb::HibernationPolicy {
                pause_after: spec.pause_after.map(duration),
                stop_after: spec.stop_after.map(duration),
                ..Default::default()
            });
        let request = pb::CreateContainerRequest {
            user_id: String::new(),
            spec: Some(pb::ContainerSpec {
                image: spec.image.clone(),
                workload_argv: spec.argv.clone(),
                workload_port: spec.workload_port.map(u32::from).unwrap_or_default(),
                memory_bytes: spec.memory_bytes.unwrap_or_default(),
                pids: spec.pids.unwrap_or_default(),
                cpu_shares: spec.cpu_shares.unwrap_or_default(),
                hibernation: sleeps,
                gateway_plain: spec.gateway_plain,
                sealed_volume_bytes: spec.sealed_volume_bytes.unwrap_or_default(),
            }),
            start,
            idempotency_key: idempotency_key(),
        };
        let answer = self.containers().create_container(request).await?.into_inner();
        parse(present(answer.container, "container")?)
    }

    /// One container.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn container(&self, container: ContainerId) -> Result<Container, ClientError> {
        let request = pb::GetContainerRequest { container_id: container.to_string() };
        let answer = self.containers().get_container(request).await?.into_inner();
        parse(present(answer.container, "container")?)
    }

    /// All containers that the caller may see.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_containers(&self) -> Result<Vec<Container>, ClientError> {
        let (mut all, mut page_token) = (Vec::new(), String::new());
        let mut pages = Pages::default();
        loop {
            let request = pb::ListContainersRequest { page_size: 100, page_token, user_id: String::new() };
            let page = self.containers().list_containers(request).await?.into_inner();
            for container in page.containers {
                all.push(parse(container)?);
            }
            pages.turn(&page.next_page_token)?;
            if page.next_page_token.is_empty() {
                return Ok(all);
            }
            page_token = page.next_page_token;
        }
    }

    /// The container meant: the one named, or the caller's only one.
    ///
    /// # Errors
    /// [`ClientError::Usage`] if none is named and there is none, or more than one.
    pub async fn container_or_only(
        &self,
        container: Option<ContainerId>,
    ) -> Result<ContainerId, ClientError> {
        if let Some(container) = container {
            return Ok(container);
        }
        let own = self.identity()?.user;
        let mut mine = self.list_containers().await?;
        mine.retain(|container| container.user == own);
        match mine.as_slice() {
            [only] => Ok(only.id),
            [] => Err(ClientError::Usage(
                "you have no container: make one with `ocmt container create`".to_owned(),
            )),
            _ => Err(ClientError::Usage("you have several containers: name the one you mean".to_owned())),
        }
    }

    moves! {
        /// Starts it, and returns when its cell is ready. The cell is locked.
        start_container => start_container(StartContainerRequest),
        /// Freezes it; memory and a running unlock are kept.
        pause_container => pause_container(PauseContainerRequest),
    }

    /// Stops it; the unlock is gone. `grace` is what the workload has to end by itself, at most 300 s.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn stop_container(
        &self,
        container: ContainerId,
        grace: Option<Duration>,
    ) -> Result<Container, ClientError> {
        let request = pb::StopContainerRequest {
            container_id: container.to_string(),
            grace: grace.map(duration),
            idempotency_key: idempotency_key(),
        };
        let answer = self.containers().stop_container(request).await?.into_inner();
        parse(present(answer.container, "container")?)
    }

    /// Brings it to running from wherever it is.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn wake_container(&self, container: ContainerId) -> Result<(Container, Wake), ClientError> {
        let request = pb::WakeContainerRequest {
            container_id: container.to_string(),
            idempotency_key: idempotency_key(),
        };
        let answer = self.containers().wake_container(request).await?.into_inner();
        let wake = Wake {
            kind: match answer.wake_kind() {
                pb::WakeKind::Unspecified => return Err(ClientError::Answer("wake_kind")),
                pb::WakeKind::None => "none",
                pb::WakeKind::Unpause => "unpause",
                pb::WakeKind::Start => "start",
                pb::WakeKind::Create => "create",
            }
            .to_owned(),
            millis: answer.wake_time.as_ref().map(millis).unwrap_or_default(),
        };
        Ok((parse(present(answer.container, "container")?)?, wake))
    }

    /// Removes it. Wants a fresh proof of presence. Its volume stays, or is erased for good: then by its user, or an
    /// owner of the tenant.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn remove_container(
        &self,
        container: ContainerId,
        delete_volume: bool,
    ) -> Result<(), ClientError> {
        let request = pb::RemoveContainerRequest {
            container_id: container.to_string(),
            delete_volume,
            idempotency_key: idempotency_key(),
        };
        self.containers().remove_container(request).await?;
        Ok(())
    }

    /// Puts it into quarantine: nothing wakes it until it is released.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn hold_container(
        &self,
        container: ContainerId,
        reason: &str,
    ) -> Result<Container, ClientError> {
        let request = pb::HoldContainerRequest {
            container_id: container.to_string(),
            reason: reason.to_owned(),
            idempotency_key: idempotency_key(),
        };
        let answer = self.containers().hold_container(request).await?.into_inner();
        parse(present(answer.container, "container")?)
    }

    /// Takes it out of quarantine; it is stopped then.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn release_container(
        &self,
        container: ContainerId,
        reason: &str,
    ) -> Result<Container, ClientError> {
        let request = pb::ReleaseContainerRequest {
            container_id: container.to_string(),
            reason: reason.to_owned(),
            idempotency_key: idempotency_key(),
        };
        let answer = self.containers().release_container(request).await?.into_inner();
        parse(present(answer.container, "container")?)
    }

    /// Why it is awake and when it will sleep.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn explain_idle(&self, container: ContainerId) -> Result<Idle, ClientError> {
        let request = pb::ExplainIdleRequest { container_id: container.to_string() };
        let idle = self.containers().explain_idle(request).await?.into_inner();
        Ok(Idle {
            state: state(idle.state())?,
            last_activity_at: idle.last_activity_at.as_ref().map(time),
            reasons: idle.reasons.iter().map(reason).collect(),
            pause_due_at: idle.pause_due_at.as_ref().map(time),
            stop_due_at: idle.stop_due_at.as_ref().map(time),
            unlocked_until: idle.unlocked_until.as_ref().map(time),
            next_wake_at: idle.next_wake_at.as_ref().map(time),
        })
    }

    /// Locks its cell at once: its secrets are wiped, its channels end.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn lock_container(&self, container: ContainerId) -> Result<(), ClientError> {
        let request =
            pb::LockCellRequest { container_id: container.to_string(), idempotency_key: idempotency_key() };
        self.containers().lock_cell(request).await?;
        Ok(())
    }
}
