//! Who plays: a tenant's owner, a second user, guardians; sign-up, sign-in, and the owner's vault.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use ocmt_client::{
    Client, auth::Purpose, passphrase::NewPassphrase, state::LocalState, tenant::PolicyChange, vault::Vault,
};
use ocmt_crypto::kdf::Cost;

use super::{Story, stage::Stage};

/// Hibernation after seconds, so that one sees it.
pub(super) const PAUSE_AFTER: Duration = Duration::from_millis(1500);
pub(super) const STOP_AFTER: Duration = Duration::from_millis(3500);
/// Recovery after seconds instead of days.
pub(super) const RECOVERY_DELAY: Duration = Duration::from_secs(2);
pub(super) const CHANGE: Duration = Duration::from_secs(1);

/// The tenant's owner among the people.
pub(super) const OWNER: usize = 0;

/// Somebody with a device.
pub(super) struct Person {
    pub(super) name: &'static str,
    pub(super) email: String,
    pub(super) passphrase: String,
    pub(super) client: Client,
    pub(super) device: LocalState,
    pub(super) vault: Option<Vault>,
}

impl Person {
    fn new(name: &'static str, passphrase: String, client: Client, device: LocalState) -> Self {
        Self { name, email: address(name), passphrase, client, device, vault: None }
    }

    pub(super) fn vault(&mut self) -> anyhow::Result<&mut Vault> {
        self.vault.as_mut().ok_or_else(|| anyhow!("{} has no vault open", self.name))
    }
}

impl Story {
    pub(super) fn owner(&mut self) -> anyhow::Result<&mut Person> {
        self.people.get_mut(OWNER).ok_or_else(|| anyhow!("nobody has signed up"))
    }
}

pub(super) fn address(name: &str) -> String {
    format!("{}@demo.example", name.to_lowercase())
}

/// Somebody signs up with a tenant of their own, by a mailed link.
pub(super) async fn join(
    stage: &Stage,
    name: &'static str,
    tenant: &str,
    passphrase: String,
) -> anyhow::Result<Person> {
    let device = LocalState::open(&stage.device_of(name))?;
    let stranger = stage.connect().await?;
    let pending = stranger.sign_up(&address(name), tenant).await?;
    let link = link_of(stage, name, "Finish your sign-up").await?;
    let client = pending.finish(&link, "the demo").await?;
    Ok(Person::new(name, passphrase, client, device))
}

/// Somebody signs in by a mailed link.
pub(super) async fn sign_in(stage: &Stage, name: &'static str, purpose: Purpose) -> anyhow::Result<Client> {
    let pending = stage.connect().await?.request_link(&address(name), None, purpose).await?;
    let subject = match purpose {
        Purpose::SignIn => "sign-in link",
        Purpose::Recovery => "recovery link",
        Purpose::StepUp => "it is you",
    };
    Ok(pending.finish(&link_of(stage, name, subject).await?, "the demo").await?)
}

async fn link_of(stage: &Stage, name: &str, subject: &str) -> anyhow::Result<String> {
    let letter = stage.mailbox().take(&address(name), subject).await;
    let letter = letter.ok_or_else(|| anyhow!("no mail \"{subject}\" came for {name}"))?;
    letter.link().map(str::to_owned).ok_or_else(|| anyhow!("there is no link in the mail for {name}"))
}

/// The first chapter: a tenant with two users, signed in by magic links.
pub(super) async fn sign_up(story: &mut Story) -> anyhow::Result<()> {
    let Story { tell, stage, people, marks, .. } = story;
    tell.chapter("A tenant with two users")?;
    let passphrase = marks.plant("Ada's passphrase", "correct horse battery staple");
    let ada = tell
        .step(
            "Ada signs up by a mailed link that works once, on her device only",
            join(stage, "Ada", "Analytical Engines", passphrase),
        )
        .await?;
    let policy = PolicyChange {
        pause_after: Some(PAUSE_AFTER),
        stop_after: Some(STOP_AFTER),
        recovery_delay: Some(RECOVERY_DELAY),
        lock_period: Some(RECOVERY_DELAY),
        change_delay: Some(CHANGE),
        change_window: Some(CHANGE),
        ..PolicyChange::default()
    };
    tell.step("she shortens the tenant's policy to seconds (pause, stop, recovery)", async {
        Ok(ada.client.change_policy(&policy).await?)
    })
    .await?;
    let bob = tell
        .step("Bob joins her tenant by invitation", async {
            ada.client.invite_user(&address("Bob"), "member").await?;
            let link = link_of(stage, "Bob", "You are invited").await?;
            Ok(stage.connect().await?.accept_invite(&link, "the demo").await?)
        })
        .await?;
    let ada_again =
        tell.step("Ada signs in again by magic link", sign_in(stage, "Ada", Purpose::SignIn)).await?;
    let users = ada_again.list_users().await?;
    tell.detail(&format!(
        "users: {}",
        users.iter().map(|user| format!("{} ({})", user.email, user.role)).collect::<Vec<_>>().join(", ")
    ))?;
    let device = LocalState::open(&stage.device_of("Bob"))?;
    people.push(Person { client: ada_again, ..ada });
    people.push(Person::new("Bob", String::new(), bob, device));
    Ok(())
}

/// The second chapter: three secrets that only Ada can read.
pub(super) async fn fill_vault(story: &mut Story) -> anyhow::Result<()> {
    story.tell.chapter("A vault that the platform cannot open")?;
    let secrets = [
        ("demo secret", story.marks.plant("the first secret", "sk-demo")),
        ("database password", story.marks.plant("the second secret", "pw-demo")),
        ("signing key", story.marks.plant("the third secret", "key-demo")),
    ];
    let Story { tell, people, marks, .. } = story;
    let ada = people.get_mut(OWNER).context("nobody has signed up")?;
    let passphrase = NewPassphrase::new(&ada.passphrase, &[&ada.email])?;
    let vault = tell
        .step("Ada makes a vault; its keys are made on her device (Argon2id, 64 MiB)", async {
            Ok(ada.client.create_vault(passphrase, Cost::DEFAULT, &ada.device).await?)
        })
        .await?;
    ada.vault = Some(vault);
    for (name, value) in &secrets {
        tell.step(&format!("she puts a secret: \"{name}\""), async {
            Ok(ada.vault()?.put(name, value.as_bytes()).await?)
        })
        .await?;
    }
    let listed = ada.vault()?.list().await?;
    tell.detail(&format!(
        "the vault lists {} entries; the node sees ciphertext and their number",
        listed.len()
    ))?;
    marks.secrets = secrets.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Ok(())
}
