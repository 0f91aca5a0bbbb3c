//! Three guardians, each in a tenant of their own, take a 2-of-3 share of Ada's recovery key.

use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use ocmt_client::{
    passphrase::NewPassphrase,
    recovery::{Guardianship, GuardianshipState, SetState, Side, identity_words},
};
use ocmt_crypto::{guardian::Delays, kdf::Cost};

use super::{
    Story,
    people::{self, CHANGE, OWNER, Person, RECOVERY_DELAY},
    stage::Stage,
};
use crate::local::wait_for;

const PATIENCE: Duration = Duration::from_secs(15);
const NAMES: [(&str, &str); 3] = [("Grace", "Hopper"), ("Katherine", "Johnson"), ("Hedy", "Lamarr")];
/// Guardians follow the tenant's two users.
pub(super) const FIRST: usize = 2;

/// Asks three people, and deals.
pub(super) async fn ask(story: &mut Story) -> anyhow::Result<()> {
    story.tell.chapter("Guardians, in case Ada forgets")?;
    for (name, tenant) in NAMES {
        let passphrase = story.marks.plant(&format!("{name}'s passphrase"), "a passphrase of");
        let Story { tell, stage, people, .. } = &mut *story;
        let guardian = tell
            .step(
                &format!("{name} signs up with a tenant and vault of her own"),
                enrol(stage, name, tenant, passphrase),
            )
            .await?;
        people.push(guardian);
    }
    let Story { tell, people, .. } = story;
    let (users, guardians) = people.split_at_mut_checked(FIRST).context("the cast is not complete")?;
    let ada = users.get_mut(OWNER).context("nobody has signed up")?;
    for guardian in &mut *guardians {
        let words = format!("Ada asks {}, who accepts from her own tenant", guardian.name);
        tell.step(&words, accept(ada, guardian)).await?;
    }
    let accepted = tell
        .step("she compares six words with each by telephone: their keys are what her device sees", async {
            compared(ada, guardians).await
        })
        .await?;
    let delays = Delays {
        lock_ms: ms(RECOVERY_DELAY),
        recovery_ms: ms(RECOVERY_DELAY),
        change_ms: ms(CHANGE),
        change_window_ms: ms(CHANGE),
    };
    tell.step(
        "Ada's device shares a fresh recovery key, any 2 of 3, each share sealed to its guardian",
        async { Ok(ada.vault()?.deal_shares(2, &accepted, delays, true).await?) },
    )
    .await?;
    let client = ada.client.clone();
    tell.step("all units have arrived with the guardians", async {
        let active = async || {
            client.circle(None).await.ok().flatten().filter(|circle| circle.state == SetState::Active)
        };
        wait_for(PATIENCE, active).await.map(drop).ok_or_else(|| anyhow!("some are still on their way"))
    })
    .await
}

async fn enrol(
    stage: &Stage,
    name: &'static str,
    tenant: &str,
    passphrase: String,
) -> anyhow::Result<Person> {
    let mut guardian = people::join(stage, name, tenant, passphrase).await?;
    let typed = NewPassphrase::new(&guardian.passphrase, &[&guardian.email])?;
    guardian.vault = Some(guardian.client.create_vault(typed, Cost::DEFAULT, &guardian.device).await?);
    Ok(guardian)
}

async fn accept(ada: &mut Person, guardian: &mut Person) -> anyhow::Result<()> {
    let asked = ada.vault()?.invite_guardian(&guardian.email, 1).await?;
    let client = guardian.client.clone();
    let came = async || {
        let all = client.guardianships(Some(Side::Guardian)).await.ok()?;
        all.into_iter().find(|one| one.id == asked.id && one.state == GuardianshipState::Invited)
    };
    wait_for(PATIENCE, came).await.ok_or_else(|| anyhow!("the invitation did not come"))?;
    guardian.vault()?.accept_guardianship(asked.id).await?;
    Ok(())
}

/// Those who accepted, each with the very keys that the guardian's own device has.
async fn compared(ada: &Person, guardians: &[Person]) -> anyhow::Result<Vec<Guardianship>> {
    let mut accepted = ada.client.guardianships(Some(Side::Owner)).await?;
    accepted.retain(|one| one.state == GuardianshipState::Accepted);
    for guardian in guardians {
        let shown = accepted.iter().find(|one| one.email == guardian.email).and_then(|one| one.keys);
        let shown = shown.ok_or_else(|| anyhow!("{} has not accepted", guardian.name))?;
        let own = guardian.vault.as_ref().context("a guardian has no vault")?.keys().keyring();
        let hers = identity_words(own.identity_signing.verify_key(), own.identity_seal.public()).await?;
        if identity_words(shown.identity, shown.sealing).await? != hers {
            bail!("the words of {} differ: somebody else's keys are shown for hers", guardian.name);
        }
    }
    Ok(accepted)
}

fn ms(of: Duration) -> u64 {
    u64::try_from(of.as_millis()).unwrap_or(u64::MAX)
}
