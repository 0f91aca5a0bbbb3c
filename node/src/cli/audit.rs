//! `ocmt audit`.

use std::{fs, path::Path};

use anyhow::{Context as _, bail};
use ocmt_client::audit::{self, Head, Line};
use ocmt_types::TenantId;

use super::{
    args::AuditCommand,
    context::Context,
    output::{note, print, waiting},
    show,
};

pub(super) async fn run(context: &Context, command: AuditCommand) -> anyhow::Result<()> {
    match command {
        AuditCommand::Query { limit, action } => query(context, limit, action.as_deref()).await,
        AuditCommand::Export { out } => export(context, out.as_deref()).await,
        AuditCommand::Verify { file, head } => verify(context, file.as_deref(), head.as_deref()).await,
    }
}

async fn query(context: &Context, limit: usize, action: Option<&str>) -> anyhow::Result<()> {
    let (_, mut lines) = fetch(context).await?;
    lines.retain(|line| action.is_none_or(|action| line.action.contains(action)));
    let newest = lines.split_off(lines.len().saturating_sub(limit));
    context.out.list(&newest, &["#", "WHEN", "WHO", "WHAT", "ON", "OUTCOME"], |line| {
        vec![
            line.seq.to_string(),
            show::at(Some(line.at)),
            line.actor.clone(),
            line.action.clone(),
            line.object.clone(),
            line.outcome.clone(),
        ]
    })
}

/// All records, and of which tenant they have to be.
async fn fetch(context: &Context) -> anyhow::Result<(TenantId, Vec<Line>)> {
    let client = context.client().await?;
    let _waiting = waiting("reading the audit");
    Ok((client.identity()?.tenant, client.audit_lines().await?))
}

async fn export(context: &Context, out: Option<&Path>) -> anyhow::Result<()> {
    let (tenant, lines) = fetch(context).await?;
    let head = audit::verify(tenant, &lines)?;
    let text = audit::to_export(&lines)?;
    match out {
        None => print(&text)?,
        Some(path) => fs::write(path, &text).with_context(|| format!("cannot write {}", path.display()))?,
    }
    note(&format!("{} records, all good; head {}:{}", head.seq, head.seq, head.hash));
    Ok(())
}

async fn verify(context: &Context, file: Option<&Path>, expected: Option<&str>) -> anyhow::Result<()> {
    let (tenant, lines) = match file {
        None => fetch(context).await?,
        Some(path) => {
            let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            let lines = audit::read_export(&text)?;
            let tenant = lines.first().map(|line| line.tenant).context("the file holds no record")?;
            (tenant, lines)
        }
    };
    let head = audit::verify(tenant, &lines)?;
    if let Some(expected) = expected {
        reaches(&lines, expected)?;
    }
    context.out.value(&head, || describe(&head))
}

fn describe(head: &Head) -> String {
    show::facts(&[
        ("tenant", head.tenant.to_string()),
        ("records", format!("{}, all good", head.seq)),
        ("head", format!("{}:{}", head.seq, head.hash)),
    ])
}

/// A chain whose end was cut verifies: only a head that was kept elsewhere shows it.
fn reaches(lines: &[Line], expected: &str) -> anyhow::Result<()> {
    let (seq, hash) = expected.split_once(':').context("write the head as it was printed, NUMBER:HASH")?;
    let seq: u64 = seq.parse().context("write the head as it was printed, NUMBER:HASH")?;
    match lines.iter().find(|line| line.seq == seq) {
        Some(line) if line.hash == hash => Ok(()),
        Some(_) => bail!("record {seq} is another than it was: the audit was made anew"),
        None => bail!("the audit ends before record {seq}: its end was cut"),
    }
}
