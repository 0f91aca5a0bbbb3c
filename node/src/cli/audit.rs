//! `ocmt audit`.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use ocmt_client::{
    audit::{self, BadAudit, Export, ExportFormat, KeptCheckpoint, Line, Refusal, Trust, Verified},
    pages::Pages,
};
use ocmt_crypto::audit::checkpoint::{Checkpoint, NoteKey};
use ocmt_proto::v1 as pb;
use ocmt_types::{TenantId, Timestamp};
use serde::Serialize;

use super::{
    args::{AuditCommand, AuditFormat, AuditOutcome, AuditWanted},
    audit_retention, audit_stream,
    context::Context,
    output::{self, note, print, waiting},
    show,
};

const PAGE: i32 = 500;

pub(super) async fn run(context: &Context, command: AuditCommand) -> anyhow::Result<()> {
    match command {
        AuditCommand::Tail { wanted, resume } => tail(context, &wanted, &resume).await,
        AuditCommand::Query { limit, wanted, since, until } => {
            query(context, limit, &wanted, since, until).await
        }
        AuditCommand::Export { out, format, from, to } => {
            export(context, out.as_deref(), format, from, to).await
        }
        AuditCommand::Checkpoint => checkpoint(context).await,
        AuditCommand::Retention(command) => audit_retention::run(context, command).await,
        AuditCommand::Stream(command) => audit_stream::run(context, command).await,
        AuditCommand::Verify { file, head, checkpoint, key } => {
            verify(context, file.as_deref(), head.as_deref(), &checkpoint, key).await
        }
    }
}

const COLUMNS: [&str; 6] = ["#", "WHEN", "WHO", "WHAT", "ON", "OUTCOME"];

fn cells(line: &Line) -> Vec<String> {
    vec![
        line.seq.to_string(),
        show::at(Some(line.at)),
        line.actor.clone(),
        line.action.clone(),
        line.object.clone(),
        line.outcome.clone(),
    ]
}

impl AuditWanted {
    fn filter(&self, since: Option<Timestamp>, until: Option<Timestamp>) -> pb::AuditFilter {
        let outcome = self.outcome.map(|outcome| match outcome {
            AuditOutcome::Ok => pb::Outcome::Ok.into(),
            AuditOutcome::Refused => pb::Outcome::Refused.into(),
            AuditOutcome::Failed => pb::Outcome::Failed.into(),
        });
        pb::AuditFilter {
            from: since.map(wire),
            until: until.map(wire),
            actions: Vec::new(),
            principal_id: self.who.clone(),
            object: self.on.clone(),
            outcomes: outcome.into_iter().collect(),
        }
    }

    /// Whether it is wanted, of what the node cannot tell.
    fn takes(&self, line: &Line) -> bool {
        self.action.as_ref().is_none_or(|action| line.action.contains(action.as_str()))
    }
}

fn wire(at: Timestamp) -> prost_types::Timestamp {
    let nanos = i32::try_from(at.0.rem_euclid(1_000) * 1_000_000).unwrap_or(0);
    prost_types::Timestamp { seconds: at.0.div_euclid(1_000), nanos }
}

#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    line: &'a Line,
    resume_token: &'a str,
}

async fn tail(context: &Context, wanted: &AuditWanted, resume: &str) -> anyhow::Result<()> {
    let client = context.client().await?;
    let mut watch = client.watch_audit(wanted.filter(None, None), resume).await?;
    let mut token = resume.to_owned();
    loop {
        let next = watch.next().await;
        let (line, resume_token) = next.map_err(|error| output::cut_off(error, "ocmt audit tail", &token))?;
        token.clone_from(&resume_token);
        if !wanted.takes(&line) {
            continue;
        }
        if context.out.json {
            print(&(serde_json::to_string(&Told { line: &line, resume_token: &resume_token })? + "\n"))?;
        } else {
            print(&(cells(&line).join("  ") + "\n"))?;
        }
    }
}

async fn query(
    context: &Context,
    limit: usize,
    wanted: &AuditWanted,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
) -> anyhow::Result<()> {
    let client = context.client().await?;
    let (mut newest, mut page_token) = (Vec::new(), String::new());
    {
        let _waiting = waiting("reading the audit");
        let mut pages = Pages::default();
        while newest.len() < limit {
            let page = client.audit_page(wanted.filter(since, until), PAGE, page_token).await?;
            newest.extend(page.0.into_iter().filter(|line| wanted.takes(line)));
            page_token = page.1;
            pages.turn(&page_token)?;
            if page_token.is_empty() {
                break;
            }
        }
    }
    newest.truncate(limit);
    newest.reverse();
    context.out.list(&newest, &COLUMNS, cells)
}

async fn export(
    context: &Context,
    out: Option<&Path>,
    format: AuditFormat,
    from: u64,
    to: u64,
) -> anyhow::Result<()> {
    let client = context.client().await?;
    let wire = match format {
        AuditFormat::Jsonl => ExportFormat::Jsonl,
        AuditFormat::Csv => ExportFormat::Csv,
        AuditFormat::Syslog => ExportFormat::Syslog,
    };
    let mut stream = client.audit_export(wire, from, to).await?;
    let mut file: Box<dyn std::io::Write + Send> = match out {
        None => Box::new(std::io::stdout()),
        Some(path) => {
            // it says who did what, and from where
            let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
            Box::new(file.with_context(|| format!("cannot write {}", path.display()))?)
        }
    };
    let mut text = Vec::new();
    while let Some(piece) = stream.next().await? {
        file.write_all(&piece)?;
        if format == AuditFormat::Jsonl {
            text.extend(piece);
        }
    }
    let kept = stream.checkpoint().context("the node sent no checkpoint")?;
    if format == AuditFormat::Jsonl {
        writeln!(file, "{}", kept.to_line()?)?;
    }
    file.flush()?;
    if format != AuditFormat::Jsonl || from > 1 || to > 0 {
        return Ok(());
    }
    let export = audit::read_export(std::str::from_utf8(&text)?)?;
    let signed = kept.prove(&client.audit_trust())?;
    let cut = export.cut.as_ref().map(|cut| cut.prove(&client.audit_trust())).transpose()?;
    let verified = audit::verify_export(client.identity()?.tenant, &export, cut.as_ref(), &[signed])?;
    let head = verified.head;
    note(&format!("{} records, all good; head {}:{}", head.seq, head.seq, head.hash));
    Ok(())
}

async fn checkpoint(context: &Context) -> anyhow::Result<()> {
    let client = context.client().await?;
    let (kept, checkpoint) = client.audit_checkpoint().await?;
    print(&(kept.to_line()? + "\n"))?;
    note(&format!("of {} records; keep it where no node can change it", checkpoint.tree.size));
    Ok(())
}

async fn verify(
    context: &Context,
    file: Option<&Path>,
    head: Option<&str>,
    elsewhere: &[PathBuf],
    keys: Vec<NoteKey>,
) -> anyhow::Result<()> {
    let (tenant, export) = match file {
        None => fetch(context).await?,
        Some(path) => {
            let export = audit::read_export(&read(path)?)?;
            let tenant = export.lines.first().map(|line| line.tenant).context("the file holds no record")?;
            (tenant, export)
        }
    };
    let texts: Vec<String> = elsewhere.iter().map(|path| read(path)).collect::<anyhow::Result<_>>()?;
    for refusal in texts.iter().flat_map(|text| Refusal::read(text)).filter(|it| it.tenant == tenant) {
        let at = show::at(Some(refusal.at));
        // nobody signed it: what it says moves no cursor
        let why: String = refusal.why.chars().filter(|c| !c.is_control()).take(200).collect();
        note(&format!("a node refused to sign a head of this audit, {at}: {why}"));
    }
    let kept: Vec<Vec<KeptCheckpoint>> =
        texts.iter().map(|text| Ok(KeptCheckpoint::read(text)?)).collect::<anyhow::Result<_>>()?;
    let kept: Vec<KeptCheckpoint> = kept.into_iter().flatten().chain(export.checkpoints.clone()).collect();
    let mut trust = Trust { ca: context.authority()?, keys };
    for kept in &kept {
        trust.learn(&kept.introductions);
    }
    let known = trust.ca.is_some() || !trust.keys.is_empty();
    let signed = if known { proven(&kept, &trust, tenant)? } else { Vec::new() };
    if export.cut.is_some() && !known {
        bail!(
            "the file says that records were pruned: name who may have signed that, the cluster's authority with --ca, or a key with --key"
        );
    }
    let cut = export.cut.as_ref().map(|cut| cut.prove(&trust)).transpose();
    let cut = cut.context("that records were pruned is not to be believed")?;
    let verified = audit::verify_export(tenant, &export, cut.as_ref(), &signed)?;
    if let Some(expected) = head {
        reaches(&export.lines, expected)?;
    }
    if !known && !kept.is_empty() {
        if !elsewhere.is_empty() {
            bail!(
                "name who may have signed the heads: the cluster's authority with --ca, or a key with --key"
            );
        }
        note("the signed head in the file was not checked: name the cluster's authority with --ca");
    }
    context.out.value(&verified, || describe(&verified))
}

/// Those that are of this audit: heads of several may be kept in one file.
fn proven(kept: &[KeptCheckpoint], trust: &Trust, tenant: TenantId) -> anyhow::Result<Vec<Checkpoint>> {
    let mut signed = Vec::new();
    for kept in kept {
        let checkpoint = kept.prove(trust).context("a signed head is not to be believed")?;
        if checkpoint.tenant == tenant {
            signed.push(checkpoint);
        }
    }
    if signed.is_empty() && !kept.is_empty() {
        return Err(BadAudit::Foreign.into());
    }
    Ok(signed)
}

/// All records as the node shows them, its head with them, and of which tenant they have to be.
async fn fetch(context: &Context) -> anyhow::Result<(TenantId, Export)> {
    let client = context.client().await?;
    let _waiting = waiting("reading the audit");
    let mut stream = client.audit_export(ExportFormat::Jsonl, 0, 0).await?;
    let mut text = Vec::new();
    while let Some(piece) = stream.next().await? {
        text.extend(piece);
    }
    let mut export = audit::read_export(std::str::from_utf8(&text)?)?;
    export.checkpoints.extend(stream.checkpoint().cloned());
    Ok((client.identity()?.tenant, export))
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn describe(verified: &Verified) -> String {
    let head = &verified.head;
    let mut facts = vec![
        ("tenant", head.tenant.to_string()),
        ("records", format!("{}, all good", head.seq)),
        ("signed", format!("{} of them, by a head that was checked", verified.proven)),
        ("head", format!("{}:{}", head.seq, head.hash)),
    ];
    if let Some(it) = &verified.pruned {
        let days = it.kept_ms / (24 * 3_600_000);
        let at = show::at(Some(it.at));
        facts.push(("pruned", format!("1 to {}, {at}, kept {days} days by record {}", it.last, it.policy)));
    }
    show::facts(&facts)
}

/// A chain whose end was cut verifies: only a head that was kept elsewhere shows it.
fn reaches(lines: &[Line], expected: &str) -> anyhow::Result<()> {
    let (seq, hash) = expected.split_once(':').context("write the head as it was printed, NUMBER:HASH")?;
    let seq: u64 = seq.parse().context("write the head as it was printed, NUMBER:HASH")?;
    match lines.iter().find(|line| line.seq == seq) {
        Some(line) if line.hash == hash => Ok(()),
        Some(_) => bail!("record {seq} is another than it was: the audit was made anew"),
        None if lines.first().is_some_and(|first| first.seq > seq) => {
            bail!("record {seq} was pruned: hold a signed head against the audit with --checkpoint")
        }
        None => bail!("the audit ends before record {seq}: its end was cut"),
    }
}
