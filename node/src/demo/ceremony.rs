//! Ada forgets her passphrase: a ceremony with two approvals gives her vault back under a new one.

use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use ocmt_client::{
    Client, ClientError,
    auth::Purpose,
    passphrase::NewPassphrase,
    recovery::{Ceremony, CeremonyState, RecoveryRequest},
    vault::Key,
};
use ocmt_crypto::{
    kdf::{Cost, Passphrase},
    vault::Rollback,
};
use ocmt_types::Digest32;

use super::{
    Story,
    guardians::FIRST,
    people::{self, OWNER, Person},
};
use crate::local::{wait_every, wait_for};

const PATIENCE: Duration = Duration::from_secs(20);
/// Each look is a call, and each call is in the audit.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// From the forgotten passphrase to the new one.
pub(super) async fn recover(story: &mut Story) -> anyhow::Result<()> {
    story.tell.chapter("Ada forgets her passphrase")?;
    let old = std::mem::take(&mut story.owner()?.passphrase);
    story.owner()?.vault = None;
    let session = {
        let Story { tell, stage, .. } = &*story;
        tell.step(
            "she signs in by a recovery link: good for a ceremony and nothing else",
            people::sign_in(stage, "Ada", Purpose::Recovery),
        )
        .await?
    };
    let request = open(story, &session).await?;
    approve(story, &session, &request).await?;
    collect(story, &session, &request).await?;
    reopen(story, &old).await
}

async fn open(story: &Story, session: &Client) -> anyhow::Result<RecoveryRequest> {
    let ada = story.people.get(OWNER).context("nobody has signed up")?;
    let opened = story.tell.step("she opens a ceremony; her guardians and her own address are told", async {
        Ok(session.open_ceremony(None, &ada.device).await?)
    });
    let (request, _) = opened.await?;
    story.tell.detail(&format!("six words to compare by telephone: {}", request.words().await?))?;
    Ok(request)
}

async fn approve(story: &mut Story, session: &Client, request: &RecoveryRequest) -> anyhow::Result<()> {
    let words = request.words().await?;
    let Story { tell, people, .. } = story;
    for guardian in people.get_mut(FIRST..FIRST + 2).context("the guardians are missing")? {
        let text = format!("{} compares the six words and approves with a key of her own", guardian.name);
        let given = tell.step(&text, approve_one(guardian, request.id(), &words)).await?;
        tell.detail(&format!("{} of {} units given", given.units_approved, given.units_needed))?;
    }
    let released =
        tell.step("the delay passes; the node releases the shares", released(session, request.id())).await?;
    tell.detail(&format!("from its opening to its release: {}", span(&released)))
}

async fn approve_one(guardian: &mut Person, ceremony: Digest32, words: &str) -> anyhow::Result<Ceremony> {
    let client = guardian.client.clone();
    let told = async || client.ceremonies(true).await.ok()?.into_iter().find(|one| one.id == ceremony);
    let told = wait_for(PATIENCE, told).await.ok_or_else(|| anyhow!("the request did not reach her"))?;
    if told.words().await? != words {
        bail!("the six words differ");
    }
    let vault = guardian.vault()?;
    let review = vault.review_ceremony(ceremony).await?;
    Ok(vault.approve_ceremony(&review).await?)
}

async fn released(session: &Client, ceremony: Digest32) -> anyhow::Result<Ceremony> {
    let mut last = None;
    let look = async || {
        last = session.ceremony(ceremony).await.ok();
        last.clone().filter(|shown| shown.state == CeremonyState::Released)
    };
    match wait_every(LOOK_EVERY, PATIENCE, look).await {
        Some(released) => Ok(released),
        None => bail!("it was not released: {:?}", last.map(|shown| shown.state)),
    }
}

fn span(ceremony: &Ceremony) -> String {
    match (ceremony.opened_at, ceremony.releasable_at) {
        (Some(opened), Some(released)) => format!("{:.1} s", released.since(opened).as_secs_f64()),
        _ => "unknown".to_owned(),
    }
}

async fn collect(story: &mut Story, session: &Client, request: &RecoveryRequest) -> anyhow::Result<()> {
    let new = story.marks.plant("Ada's new passphrase", "a wholly new passphrase");
    let (name, value) = story.marks.secrets.first().cloned().context("there were no secrets")?;
    let Story { tell, people, .. } = story;
    let ada = people.get_mut(OWNER).context("nobody has signed up")?;
    let recovered = tell
        .step("two shares make the recovery key; the vault opens under it", async {
            Ok(request.collect(session, &ada.device).await?)
        })
        .await?;
    if !recovered.bad().is_empty() {
        bail!("a share was bad: {:?}", recovered.bad());
    }
    let entry = recovered.vault().get(&name).await?;
    if entry.value.as_slice() != value.as_bytes() {
        bail!("the recovered vault holds another value");
    }
    let typed = NewPassphrase::new(&new, &[&ada.email])?;
    let device = &ada.device;
    let ended = tell
        .step("a new passphrase, new keys for every entry; all old sessions end", async {
            Ok(recovered.complete(typed, Cost::DEFAULT, device).await?)
        })
        .await?;
    tell.detail(&format!("{ended} sessions ended"))?;
    ada.passphrase = new;
    Ok(())
}

async fn reopen(story: &mut Story, old: &str) -> anyhow::Result<()> {
    let secrets = story.marks.secrets.clone();
    let Story { tell, stage, people, .. } = story;
    let ada = people.get_mut(OWNER).context("nobody has signed up")?;
    if ada.client.who_am_i().await.is_ok() {
        bail!("a session from before the recovery still works");
    }
    ada.client =
        tell.step("Ada signs in again by magic link", people::sign_in(stage, "Ada", Purpose::SignIn)).await?;
    let unlock = async |typed: &str| -> anyhow::Result<Result<_, ClientError>> {
        let key = Key::Passphrase(Passphrase::new(typed)?);
        Ok(ada.client.unlock_vault(None, key, &ada.device, Rollback::Refuse).await)
    };
    let vault = tell
        .step("the vault opens under the new passphrase", async { Ok(unlock(&ada.passphrase).await??) })
        .await?;
    for (name, value) in &secrets {
        if vault.get(name).await?.value.as_slice() != value.as_bytes() {
            bail!("\"{name}\" changed");
        }
    }
    tell.detail("all three secrets are as they were")?;
    tell.step("the old passphrase opens nothing", async {
        match unlock(old).await? {
            Err(ClientError::Crypto(_)) => Ok(()),
            Err(error) => Err(error.into()),
            Ok(_) => bail!("it still opens the vault"),
        }
    })
    .await?;
    ada.vault = Some(vault);
    Ok(())
}
