//! `ocmt node`, `dev`, `config`: running a node, and what belongs to it.

use std::{path::Path, process::ExitCode, time::Duration};

use anyhow::{Context as _, bail};
use ocmt_client::ClientError;
use ocmt_runtime::{ImageRef, docker::Engine};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::timeout,
};

use super::{
    args::{ConfigCommand, DemoRuntime, DevArgs, NodeArgs},
    output,
};
use crate::{
    config::{self, Config, Listen, Mode, RuntimeKind},
    database,
    server::{Node, StartError, lives},
    software::Software,
    telemetry,
};

/// What an engine has to answer whether it is there.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// Runs a node until it is asked to stop.
///
/// # Errors
/// When it cannot start; the text says what to do.
pub(super) async fn node(args: &NodeArgs, software: Software) -> anyhow::Result<ExitCode> {
    let config = load(&args.config)?;
    let _traces = telemetry::init(&config.telemetry)?;
    if let Some(warning) = database::warning(&config.store.url) {
        tracing::warn!("{warning}");
    }
    let stop = stop_signal()?;
    lives::run(&config, software, stop, |_| ()).await.map_err(|error| named(&config.listen, error.into()))?;
    Ok(ExitCode::SUCCESS)
}

/// Says of an address that cannot be listened on by which key it was given.
fn named(listen: &Listen, error: anyhow::Error) -> anyhow::Error {
    let start = match error.downcast_ref::<lives::Over>() {
        Some(lives::Over::Start(start)) => Some(start),
        _ => error.downcast_ref::<StartError>(),
    };
    let Some(StartError::Listen { address, .. }) = start else { return error };
    let keys = [
        ("client", listen.client),
        ("peers", listen.peers),
        ("operators", listen.operators),
        ("telemetry", listen.telemetry),
    ];
    let redirect = listen.redirect().map(|given| ("redirect", given));
    match keys.into_iter().chain(redirect).find(|(_, given)| given == address) {
        Some((key, _)) => error.context(format!("listen.{key} has to be another address")),
        None => error,
    }
}

/// Runs a node for development.
///
/// # Errors
/// As [`node`].
pub(super) async fn dev(args: &DevArgs, software: Software) -> anyhow::Result<ExitCode> {
    let mut config = Config::default();
    config.node.mode = Mode::Dev;
    config.node.data_dir = std::path::absolute(&args.data_dir).context("cannot find the data folder")?;
    config.telemetry.format = config::LogFormat::Text;
    config.telemetry.filter = "warn,ocmt=info".to_owned();
    containers_of(args, crate::demo::engine::from_environment(), &mut config)?;
    config::check(&config)?;
    answers(&config.containers, ANSWERS_WITHIN).await?;
    let _traces = telemetry::init(&config.telemetry)?;
    let node = Box::pin(Node::start(&config, software)).await;
    let node = node.map_err(|error| named(&config.listen, error.into()))?;
    output::note(&format!(
        "node for development at {}\n  containers run as: {}\n  state:             {}\n  sign up with:\n\n    ocmt login --sign-up --email you@example.org --tenant-name Home --endpoint {} --ca {}\n\nLinks are printed here. Ctrl-C stops the node.",
        node.endpoints().client,
        node.runtime(),
        config.node.data_dir.display(),
        node.endpoints().client,
        node.ca_file().display(),
    ));
    stop_signal()?.await;
    node.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// How its containers run, and where. Docker has nothing to run without an image.
fn containers_of(args: &DevArgs, docker_host: Option<String>, config: &mut Config) -> anyhow::Result<()> {
    if !args.image.is_empty() && args.image.parse::<ImageRef>().is_err() {
        let image = &args.image;
        let text = format!(
            "--image takes a digest, and {image:?} is none: `ocmt image build` prints that of what it makes, `docker image inspect --format '{{{{.Id}}}}' IMAGE` that of one that Docker has"
        );
        return Err(ClientError::Usage(text).into());
    }
    let it = &mut config.containers;
    it.image.clone_from(&args.image);
    it.runtime = match args.runtime {
        Some(DemoRuntime::Docker) => RuntimeKind::Docker,
        Some(DemoRuntime::Process) => RuntimeKind::Process,
        None if args.image.is_empty() => RuntimeKind::Process,
        None => RuntimeKind::Docker,
    };
    if let (RuntimeKind::Docker, Some(host)) = (it.runtime, docker_host) {
        Engine::at(&host).context("DOCKER_HOST is of no use to a node")?;
        it.docker_host = host;
    }
    Ok(())
}

/// Refuses an engine that does not answer: the node would serve, and start no container.
async fn answers(containers: &config::Containers, patience: Duration) -> anyhow::Result<()> {
    if containers.runtime != RuntimeKind::Docker {
        return Ok(());
    }
    let at = &containers.docker_host;
    let engine = Engine::at(at)?;
    let why = match timeout(patience, engine.info()).await {
        Ok(Ok(_)) => return Ok(()),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("nothing was said within {} s", patience.as_secs()),
    };
    bail!(
        "no Docker engine answers at {at} ({why}): start it, or name another with DOCKER_HOST=unix:///…; `ocmt dev --runtime process` needs none"
    )
}

/// Checks or prints configuration.
///
/// # Errors
/// When it is refused.
pub(super) fn config(command: &ConfigCommand) -> anyhow::Result<ExitCode> {
    match command {
        ConfigCommand::Check(args) => {
            let config = load(&args.config)?;
            if let Some(warning) = database::warning(&config.store.url) {
                output::note(&format!("warning: {warning}"));
            }
            output::note("the configuration is fine");
        }
        ConfigCommand::Print { .. } => output::print(&toml::to_string_pretty(&Config::default())?)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn load(file: &Path) -> anyhow::Result<Config> {
    config::load(Some(file), std::env::vars()).with_context(|| format!("{} is refused", file.display()))
}

/// Ready with SIGTERM or SIGINT, which are caught from here on.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_of_a_development_node_are_in_the_engine_that_docker_host_names() {
        let of = |runtime, image: &str, host: Option<&str>| {
            let args = DevArgs { data_dir: ".ocmt".into(), runtime, image: image.to_owned() };
            let mut config = Config::default();
            containers_of(&args, host.map(str::to_owned), &mut config)
                .map(|()| (config.containers.runtime, config.containers.docker_host, config.containers.image))
        };
        let (socket, usual) = ("unix:///run/user/7/docker.sock", "unix:///var/run/docker.sock");
        let digest = format!("sha256:{}", "0".repeat(64));
        let image = digest.as_str();
        for (runtime, image, host, wanted) in [
            (Some(DemoRuntime::Docker), "", Some(socket), (RuntimeKind::Docker, socket)),
            (Some(DemoRuntime::Docker), image, None, (RuntimeKind::Docker, usual)),
            (None, image, Some(socket), (RuntimeKind::Docker, socket)),
            (None, "", Some(socket), (RuntimeKind::Process, usual)),
            (
                Some(DemoRuntime::Process),
                "",
                Some("tcp://docker.example:2375"),
                (RuntimeKind::Process, usual),
            ),
        ] {
            let (kind, at, named) = of(runtime, image, host).unwrap();
            assert_eq!(((kind, at.as_str()), named.as_str()), (wanted, image));
        }
        let elsewhere = of(Some(DemoRuntime::Docker), "", Some("tcp://docker.example:2375")).unwrap_err();
        let said = format!("{elsewhere:#}");
        assert!(said.contains("DOCKER_HOST") && said.contains("only unix:///path is taken"), "{said}");
        for runtime in [None, Some(DemoRuntime::Docker), Some(DemoRuntime::Process)] {
            for tag in ["foo:latest", "foo", "sha256:0"] {
                let said = of(runtime, tag, None).unwrap_err().to_string();
                assert!(said.contains("--image takes a digest") && said.contains(tag), "{said}");
                assert!(said.contains("'{{.Id}}'"), "{said}");
            }
        }
    }

    #[tokio::test]
    async fn a_development_node_does_not_start_over_an_engine_that_does_not_answer() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| format!("unix://{}", folder.path().join(name).display());
        let of = |runtime, docker_host| config::Containers { runtime, docker_host, ..Default::default() };
        // one that takes connections, and says nothing
        let _silent = std::os::unix::net::UnixListener::bind(folder.path().join("silent")).unwrap();
        for name in ["silent", "absent"] {
            let asked = answers(&of(RuntimeKind::Docker, at(name)), Duration::from_millis(50)).await;
            let said = asked.unwrap_err().to_string();
            assert!(said.contains(&at(name)) && said.contains("DOCKER_HOST"), "{said}");
            answers(&of(RuntimeKind::Process, at(name)), Duration::from_millis(50)).await.unwrap();
        }
    }

    #[test]
    fn an_address_that_is_taken_is_told_by_its_key() {
        let listen = Listen::default();
        let source = std::io::ErrorKind::AddrInUse.into();
        let taken = StartError::Listen { address: listen.telemetry, source };
        let error = named(&listen, lives::Over::Start(taken).into());
        assert!(error.to_string().contains("listen.telemetry"), "{error}");
    }
}
