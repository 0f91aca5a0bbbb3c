//! The Docker engine, on a real one: the conformance suite, the profile as seen from inside and outside,
//! the networks, and what happens when the engine goes away.
//!
//! `OCMT_TEST_DOCKER` names the engine (a `unix://` URL); without it every test here fails, none is skipped.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::large_futures, unreachable_pub, missing_docs)]

mod bench;
mod confinement;
#[path = "../conformance/mod.rs"]
mod conformance;
mod egress;
mod engine;
mod held;
mod network;
mod profile;
mod sized;

use std::{path::Path, sync::Arc};

use conformance::{Bench, ask, stand_in};
use futures_util::{FutureExt as _, stream};
use ocmt_runtime::{
    Egress, ImageRef, Limits, Mode, Runtime as _,
    docker::{
        DockerConfig, DockerRuntime, Engine,
        confinement::Confinement,
        import::{ImageFile, ImageName, layer},
        network::NetworkRange,
    },
};
use ocmt_types::{Id as _, IdGen as _, NodeId, RandomIds};

/// Where the engine is.
pub fn url() -> String {
    std::env::var("OCMT_TEST_DOCKER").expect(
        "OCMT_TEST_DOCKER must name a Docker engine (unix:///…/docker.sock): run tests/scripts/engines.sh",
    )
}

pub fn engine() -> Engine {
    Engine::at(&url()).unwrap()
}

/// An image of the stand-in cell.
pub async fn import(entrypoint: &[&str]) -> ImageRef {
    let files = [ImageFile { from: stand_in(), to: "ocmt-cell".into(), mode: 0o755 }];
    let tar = layer(&files).unwrap();
    let name = ImageName { repository: "ocmt-test/stand-in", tag: "latest", entrypoint };
    engine().import_image(stream::iter([Ok(tar.into())]), &name).await.unwrap()
}

/// A /24 of this test's own: tests run side by side, and one of them takes its host guard away.
pub fn range() -> NetworkRange {
    let [a, b, ..] = RandomIds.random16();
    format!("10.{}.{b}.0/24", 128 + a % 64).parse().unwrap()
}

pub fn config(data_dir: &Path, image: &ImageRef) -> DockerConfig {
    DockerConfig {
        mode: Mode::Production,
        node: NodeId::from_bytes(RandomIds.random16()),
        data_dir: data_dir.to_owned(),
        networks: range(),
        images: vec![image.clone()],
        ceiling: Limits::default(),
        egress: Egress::Off,
        resolvers: Vec::new(),
        confinement: Confinement::default(),
    }
}

/// A bench and the engine's own face behind it.
pub struct Docker {
    pub runtime: Arc<DockerRuntime>,
    pub config: DockerConfig,
    pub bench: Bench,
}

pub async fn docker_with(change: impl FnOnce(&mut DockerConfig)) -> Docker {
    let (folder, image) = (tempfile::tempdir().unwrap(), import(&["/ocmt-cell"]).await);
    let mut config = config(folder.path(), &image);
    change(&mut config);
    let runtime = Arc::new(DockerRuntime::open(engine(), config.clone()).await.unwrap());
    let (talker, guarded) = (Arc::clone(&runtime), Arc::clone(&runtime));
    let imported = image.clone();
    let bench = Bench {
        runtime: Arc::<DockerRuntime>::clone(&runtime),
        node: config.node,
        image,
        real: true,
        end: Box::new(move |container, code| {
            let runtime = Arc::clone(&talker);
            async move {
                let address = runtime.inspect(&container).await.unwrap().address.unwrap();
                ask(address, &format!("exit {code}")).await;
            }
            .boxed()
        }),
        close: Box::new(move || {
            async move {
                guarded.host_guard().remove().await.unwrap();
                // one with a size is mounted until it is erased
                for tenant in guarded.tenants_with_volumes().await.unwrap() {
                    let _ = guarded.erase_volumes(tenant).await;
                }
                profile::client()
                    .remove_image(
                        imported.as_str(),
                        None::<bollard::query_parameters::RemoveImageOptions>,
                        None,
                    )
                    .await
                    .unwrap();
                drop(folder);
            }
            .boxed()
        }),
    };
    Docker { runtime, config, bench }
}

pub async fn docker() -> Docker {
    docker_with(|_| {}).await
}

conformance!(docker().await.bench);
