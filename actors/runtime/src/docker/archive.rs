//! Cells that run nothing, under Docker: the profile of any container, less its network and the right to write.

use std::{collections::HashMap, io, net::Ipv4Addr};

use bollard::{
    container::LogOutput,
    models::{ContainerCreateBody, HostConfig, HostConfigLogConfig, Mount},
    query_parameters::{
        AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, ListContainersOptionsBuilder,
        RemoveContainerOptionsBuilder,
    },
};
use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::io::AsyncWriteExt as _;
use tokio_util::io::StreamReader;

use super::{DockerRuntime, engine::fault, engine::fault_of, network::Subnet, profile::Profile};
use crate::{
    ArchiveCell, ArchiveErrand, ContainerRef, ContainerSpec, RuntimeError, StartSecret, State, archive,
};

/// Says whose they are. Not the label of containers: nothing adopts these.
const LABEL: &str = "ocmt.archive";
/// Where they would be if they had a network (RFC 5737: nowhere).
const NOWHERE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

impl DockerRuntime {
    pub(super) async fn start_archive(
        &self,
        spec: &ContainerSpec,
        errand: ArchiveErrand,
        secret: &StartSecret,
    ) -> Result<ArchiveCell, RuntimeError> {
        let begun = self.begin_archive(spec, errand, secret).await;
        if begun.is_err()
            && let Ok(docker) = self.engine.docker()
        {
            // the engine removes what has ended, and not what was never started
            let _ = remove(docker, &name(spec)).await;
        }
        begun
    }

    async fn begin_archive(
        &self,
        spec: &ContainerSpec,
        errand: ArchiveErrand,
        secret: &StartSecret,
    ) -> Result<ArchiveCell, RuntimeError> {
        let container = spec.container_ref();
        self.check(spec).await?;
        match self.look(&container, "take a snapshot of").await {
            Ok(there) if matches!(there.state, State::Running | State::Paused) => {
                return Err(RuntimeError::conflict(&container, "take a snapshot of", there.state));
            }
            Ok(_) | Err(RuntimeError::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
        let (docker, name) = (self.engine.docker()?, name(spec));
        remove(docker, &name).await.map_err(|error| fault(&error))?;
        let volume = self.volume_of(spec.tenant, spec.user, Some(errand)).await?;
        let profile = Profile {
            spec,
            labels: spec.labels(self.config.node),
            volume,
            // it has none: this names no network
            subnet: Subnet::of_cell(NOWHERE),
            resolvers: &[],
            confinement: &self.config.confinement,
        };
        let body = body(&profile, spec, errand, self.config.node.to_string());
        let options = CreateContainerOptionsBuilder::new().name(&name).build();
        let failed = || fault_of(&container, "take a snapshot of");
        docker.create_container(Some(options), body).await.map_err(failed())?;
        let attach = AttachContainerOptionsBuilder::new().stdin(true).stdout(true).stream(true).build();
        let mut attached = docker.attach_container(&name, Some(attach)).await.map_err(failed())?;
        docker.start_container(&name, None).await.map_err(failed())?;
        attached
            .input
            .write_all(secret.expose())
            .await
            .map_err(RuntimeError::io("hand over the start secret"))?;
        attached.input.flush().await.map_err(RuntimeError::io("hand over the start secret"))?;
        let from = attached.output.filter_map(|said| {
            std::future::ready(match said {
                Ok(LogOutput::StdOut { message } | LogOutput::Console { message }) => {
                    Some(Ok::<Bytes, _>(message))
                }
                Ok(LogOutput::StdErr { .. } | LogOutput::StdIn { .. }) => None,
                Err(error) => Some(Err(io::Error::other(error.to_string()))),
            })
        });
        let docker = docker.clone();
        let end = async move {
            if let Err(error) = remove(&docker, &name).await {
                tracing::warn!(name, %error, "a cell that runs nothing was left behind");
            }
        };
        Ok(ArchiveCell {
            to: Box::new(attached.input),
            from: Box::new(StreamReader::new(Box::pin(from))),
            end: end.boxed(),
        })
    }

    /// Ends what an earlier life of this node has left.
    pub(super) async fn end_archives(&self) {
        let Ok(docker) = self.engine.docker() else { return };
        let label = HashMap::from([("label", vec![format!("{LABEL}={}", self.config.node)])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&label).build();
        let left = docker.list_containers(Some(options)).await.unwrap_or_default();
        for id in left.into_iter().filter_map(|summary| summary.id) {
            if let Err(error) = remove(docker, &id).await {
                tracing::warn!(id, %error, "a cell that runs nothing was left behind");
            }
        }
    }
}

/// One at a time of a container, whatever its generation.
fn name(spec: &ContainerSpec) -> String {
    let ContainerRef { container, .. } = spec.container_ref();
    format!("ocmt-{container}-archive")
}

/// Ends and removes it; that it is not there, or is going already, is fine.
async fn remove(docker: &bollard::Docker, name: &str) -> Result<(), bollard::errors::Error> {
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    match docker.remove_container(name, Some(options)).await {
        Err(bollard::errors::Error::DockerResponseServerError { status_code: 404 | 409, .. }) => Ok(()),
        done => done,
    }
}

fn body(
    profile: &Profile<'_>,
    spec: &ContainerSpec,
    errand: ArchiveErrand,
    node: String,
) -> ContainerCreateBody {
    let body = profile.body();
    let host = body.host_config.unwrap_or_default();
    let mounts = host.mounts.unwrap_or_default().into_iter();
    let mounts = mounts.map(|mount| Mount { read_only: Some(errand != ArchiveErrand::Restore), ..mount });
    let host = HostConfig {
        mounts: Some(mounts.collect()),
        network_mode: Some("none".to_owned()),
        dns: None,
        dns_options: None,
        dns_search: None,
        // what it says is the snapshot: it goes to its host, and into no log
        log_config: Some(HostConfigLogConfig { typ: Some("none".to_owned()), config: None }),
        auto_remove: Some(true),
        ..host
    };
    ContainerCreateBody {
        cmd: Some(archive::args(spec, errand)),
        env: None,
        attach_stdout: Some(true),
        labels: Some(HashMap::from([
            (LABEL.to_owned(), node),
            ("ocmt.tenant".to_owned(), spec.tenant.to_string()),
        ])),
        networking_config: None,
        host_config: Some(host),
        ..body
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ocmt_types::{Epoch, IdGen, RandomIds};

    use super::*;
    use crate::{
        Egress, Labels, Limits,
        docker::confinement::{Confinement, Seccomp},
    };

    /// Of what an attacker has who gets into one: no network, no way to write but where it is to, nothing of a user.
    #[test]
    fn it_has_the_profile_of_a_container_and_less() {
        let ids: &dyn IdGen = &RandomIds;
        let spec = ContainerSpec {
            plain: false,
            tenant: ids.id(),
            user: ids.id(),
            container: ids.id(),
            generation: 3,
            epoch: Epoch(9),
            image: format!("sha256:{}", "0".repeat(64)).parse().unwrap(),
            argv: vec!["/app".to_owned()],
            workload_port: Some(8080),
            start_locked: true,
            limits: Limits::default(),
            egress: Egress::Proxied,
            sealed_volume_bytes: None,
        };
        let confinement = Confinement {
            seccomp: Seccomp::Strict,
            oci_runtime: Some("runsc".to_owned()),
            ..Confinement::default()
        };
        let profile = Profile {
            spec: &spec,
            labels: spec.labels(ids.id()),
            volume: "/volumes/x".into(),
            subnet: Subnet::of_cell(NOWHERE),
            resolvers: &[],
            confinement: &confinement,
        };
        for errand in
            [ArchiveErrand::Take, ArchiveErrand::Restore, ArchiveErrand::Verify, ArchiveErrand::Scheduled]
        {
            let made = body(&profile, &spec, errand, "node".to_owned());
            let host = made.host_config.unwrap();
            assert_eq!(host.network_mode.as_deref(), Some("none"));
            assert!(made.env.is_none() && made.networking_config.is_none() && host.dns.is_none());
            assert_eq!(host.log_config.unwrap().typ.as_deref(), Some("none"));
            let mount = &host.mounts.unwrap()[0];
            assert_eq!(mount.read_only, Some(errand != ArchiveErrand::Restore));
            let usual = profile.body().host_config.unwrap();
            assert_eq!((host.cap_drop, host.security_opt), (usual.cap_drop, usual.security_opt));
            assert_eq!(host.runtime, usual.runtime);
            assert_eq!((host.readonly_rootfs, host.memory), (usual.readonly_rootfs, usual.memory));
            assert_eq!(made.user, profile.body().user);
            let said = made.cmd.unwrap().join(" ");
            assert!(said.starts_with("archive ") && !said.contains("/app"), "{said}");
            assert!(!made.labels.unwrap().contains_key(Labels::NODE), "nothing adopts it");
        }
    }
}
