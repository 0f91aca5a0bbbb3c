//! A container: created, started locked, unlocked by its user, talked to.

use std::{net::TcpListener, time::Duration};

use anyhow::{Context as _, bail};
use ocmt_client::{
    channel::Endpoints,
    container::{Container, Spec},
    gateway::Wake,
};

use super::{Story, people::OWNER, stage::workload_program, talk};

/// How long the cell stays unlocked.
const LEASE: Duration = Duration::from_secs(1800);
/// The workload's port where it has a network of its own.
const PORT: u16 = 8080;

/// Ada's container and the way into it.
pub(super) struct Workload {
    pub(super) container: Container,
    pub(super) port: u16,
    pub(super) endpoints: Option<Endpoints>,
}

impl Workload {
    pub(super) fn endpoints(&self) -> anyhow::Result<&Endpoints> {
        self.endpoints.as_ref().context("the cell was never unlocked")
    }
}

/// Creates and starts the container; it waits, locked.
pub(super) async fn start(story: &mut Story) -> anyhow::Result<Workload> {
    let Story { tell, stage, people, .. } = story;
    tell.chapter("A container of Ada's own")?;
    let ada = people.get_mut(OWNER).context("nobody has signed up")?;
    let port = if stage.docker.is_some() { PORT } else { free_port()? };
    let program = workload_program(stage)?.display().to_string();
    let spec = Spec { argv: vec![program, "serve".to_owned()], workload_port: Some(port), ..Spec::default() };
    let container = tell
        .step("the container is created", async { Ok(ada.client.create_container(&spec, false).await?) })
        .await?;
    let container = tell
        .step("it starts; its cell is PID 1 and locked", async {
            Ok(ada.client.start_container(container.id).await?)
        })
        .await?;
    if !container.locked {
        bail!("the cell should have started locked");
    }
    tell.detail(&format!("runtime {}, container {}", container.runtime, container.id))?;
    Ok(Workload { container, port, endpoints: None })
}

/// Unlocks the cell and talks with the workload.
pub(super) async fn unlock(story: &mut Story, workload: &mut Workload) -> anyhow::Result<()> {
    let ada = story.people.get(OWNER).context("nobody has signed up")?;
    let refused = story.tell.step("a connection to the locked cell is refused", async {
        match Box::pin(ada.client.gateway(workload.container.id)).await {
            Err(refused) => Ok(refused),
            Ok(_) => bail!("it was let through"),
        }
    });
    let refused = refused.await?;
    story.tell.detail(&refused.to_string())?;
    open_cell(story, workload, "Ada's device checks whose cell it is, and seals three secrets to it").await?;
    talk_and_prove(story, workload, "she talks with the workload over the sealed channel").await.map(drop)
}

/// The unlock itself, waking the container if it sleeps; how.
pub(super) async fn open_cell(
    story: &mut Story,
    workload: &mut Workload,
    words: &str,
) -> anyhow::Result<Wake> {
    let Story { tell, people, .. } = story;
    let ada = people.get_mut(OWNER).context("nobody has signed up")?;
    let mapping = [
        ("DEMO_SECRET", "demo secret"),
        ("DATABASE_PASSWORD", "database password"),
        ("SIGNING_KEY", "signing key"),
    ];
    let mapping = mapping.map(Into::into);
    let id = workload.container.id;
    let cell = tell
        .step(words, async { Ok(ada.vault()?.unlock_container(id, &mapping, LEASE, false).await?) })
        .await?;
    workload.endpoints = Some(cell.endpoints);
    Ok(cell.wake)
}

/// Says marked words, and has the secret proved; how the first connection woke the container.
pub(super) async fn talk_and_prove(
    story: &mut Story,
    workload: &Workload,
    words: &str,
) -> anyhow::Result<Wake> {
    let said = story.marks.plant("words of the conversation", "the harvest moon rises at");
    let secret = story.marks.secret("demo secret")?.to_owned();
    let Story { tell, people, .. } = story;
    let ada = people.get(OWNER).context("nobody has signed up")?;
    let to = workload.endpoints()?;
    let (answer, wake) =
        tell.step(words, talk::ask(&ada.client, to, workload.port, "/say", said.as_bytes())).await?;
    tell.detail(&format!("the workload says: {answer}"))?;
    tell.step(
        "it proves its secret by HMAC-SHA256 of a fresh challenge",
        talk::prove(&ada.client, to, workload.port, secret.as_bytes()),
    )
    .await?;
    Ok(wake)
}

/// Without a network of its own the workload shares this machine's loopback. Below the ports that the kernel gives to whoever asks for
/// any: until the workload listens there it is nobody's.
fn free_port() -> anyhow::Result<u16> {
    let mut tries = (0..100).map(|_| rand::random_range(20_000..32_000));
    tries.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).context("no free port")
}
