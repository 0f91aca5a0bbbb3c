//! The audit of all of it: printed, and verified record by record.

use anyhow::Context as _;
use ocmt_client::audit;

use super::{Story, guardians::FIRST, people::OWNER};

/// Prints the audit of Ada's tenant, and verifies everybody's.
pub(super) async fn verify(story: &mut Story) -> anyhow::Result<()> {
    let Story { tell, people, .. } = story;
    tell.chapter("The audit of all of it")?;
    let ada = people.get(OWNER).context("nobody has signed up")?;
    let tenant = ada.client.identity()?.tenant;
    let lines =
        tell.step("Ada reads her tenant's audit", async { Ok(ada.client.audit_lines().await?) }).await?;
    let start = lines.first().map(|line| line.at).unwrap_or_default();
    for run in lines.chunk_by(|a, b| (&a.action, &a.actor, &a.outcome) == (&b.action, &b.actor, &b.outcome)) {
        let Some(first) = run.first() else { continue };
        let after = first.at.since(start).as_secs_f64();
        let again = if run.len() > 1 { format!("  ×{}", run.len()) } else { String::new() };
        tell.line(&format!(
            "      {:>4} {after:>6.1} s  {:<34} {:<8} {}{again}",
            first.seq,
            first.action,
            first.outcome,
            short(&first.actor)
        ))?;
    }
    let head = tell
        .step("every record follows from the one before it", async { Ok(audit::verify(tenant, &lines)?) })
        .await?;
    tell.detail(&format!("{} records, head {}", head.seq, head.hash))?;
    for guardian in people.get(FIRST..).unwrap_or_default() {
        let lines = guardian.client.audit_lines().await?;
        let head = audit::verify(guardian.client.identity()?.tenant, &lines)?;
        tell.detail(&format!("{}'s own tenant: {} records, verified", guardian.name, head.seq))?;
    }
    Ok(())
}

/// `user/1a2b…` instead of the whole id.
fn short(actor: &str) -> String {
    match actor.split_once('/') {
        Some((kind, id)) => format!("{kind}/{}", id.split('-').next().unwrap_or(id)),
        None => actor.to_owned(),
    }
}
