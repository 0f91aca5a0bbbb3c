//! What is changed by hand on a running container is found.

use bollard::{
    models::{ContainerUpdateBody, EndpointSettings, NetworkConnectRequest, NetworkCreateRequest},
    query_parameters::RemoveContainerOptions,
};
use ocmt_runtime::{ContainerSpec, Egress, Limits, RuntimeError};

use crate::{
    conformance::{on, secret},
    docker, docker_with,
    profile::client,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_network_attached_and_a_limit_changed_by_hand_are_found() {
    on(docker().await.bench, async |bench| {
        let spec =
            ContainerSpec { limits: Limits { memory_bytes: 256 << 20, ..Limits::default() }, ..bench.spec() };
        let (container, _) = bench.started(&spec, &secret(1)).await;
        assert_eq!(bench.runtime.drift(&spec).await.unwrap(), Vec::<String>::new());
        let (docker, name) = (client(), container.to_string());

        let update = |memory, pids| ContainerUpdateBody {
            memory: Some(memory),
            memory_swap: Some(memory),
            pids_limit: Some(pids),
            ..Default::default()
        };
        // within what the node allows, and not what was asked for
        docker.update_container(&name, update(512 << 20, 255)).await.unwrap();
        let found = bench.runtime.drift(&spec).await.unwrap();
        assert!(
            found.len() == 2 && found[0].contains("Memory") && found[1].contains("PidsLimit"),
            "{found:?}"
        );
        docker.update_container(&name, update(256 << 20, 256)).await.unwrap();
        assert_eq!(bench.runtime.drift(&spec).await.unwrap(), Vec::<String>::new());

        let other = format!("{name}-other");
        let network = NetworkCreateRequest { name: other.clone(), ..Default::default() };
        docker.create_network(network).await.unwrap();
        let endpoint_config = Some(EndpointSettings::default());
        let connect = NetworkConnectRequest { container: name.clone(), endpoint_config };
        docker.connect_network(&other, connect).await.unwrap();
        let found = bench.runtime.drift(&spec).await.unwrap();
        assert!(found.len() == 1 && found[0].contains("Networks"), "{found:?}");
        docker
            .remove_container(&name, Some(RemoveContainerOptions { force: true, ..Default::default() }))
            .await
            .unwrap();
        docker.remove_network(&other).await.unwrap();
        let gone = bench.runtime.drift(&spec).await;
        assert!(matches!(gone, Err(RuntimeError::NotFound(_))), "{gone:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_setting_of_the_node_is_no_drift_of_what_was_made_before() {
    let docker = docker_with(|config| config.egress = Egress::Proxied).await;
    let ceiling = docker.config.ceiling;
    on(docker.bench, async |bench| {
        let told = ContainerSpec { egress: Egress::Proxied, limits: ceiling, ..bench.spec() };
        bench.started(&told, &secret(1)).await;
        // made while the way out was open, and compared as if it were not
        let spec = ContainerSpec { egress: Egress::Off, ..told };
        assert_eq!(bench.runtime.drift(&spec).await.unwrap(), Vec::<String>::new());
    })
    .await;
}
