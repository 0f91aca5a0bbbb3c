//! `ocmt vault import`.

use std::collections::BTreeSet;

use anyhow::Context as _;
use ocmt_client::vault::import::{Existing, Plan, Source, Told, ToldConversation, What};
use serde::Serialize;

use super::open;
use crate::cli::{
    args::{ExistingArg, ImportArgs},
    context::Context,
    output::waiting,
    show,
};

/// What was imported, or would be. Never a value.
#[derive(Serialize)]
struct Report {
    /// Names the file: the same for the same file.
    file: String,
    /// Whether nothing was written on purpose.
    dry_run: bool,
    /// Whether an import of this file that was cut short was finished.
    resumed: bool,
    /// How many entries were written, or would be.
    written: usize,
    /// How many records of conversations were written, or would be.
    records_written: usize,
    /// Every entry of the file.
    entries: Vec<Told>,
    /// Every conversation of the file.
    conversations: Vec<ToldConversation>,
}

pub(in crate::cli) async fn run(context: &Context, args: &ImportArgs) -> anyhow::Result<()> {
    let source = {
        let _waiting = waiting("opening the file");
        // Argon2id: nothing else is done meanwhile
        tokio::task::block_in_place(|| open::source(args))?
    };
    let client = context.client().await?;
    let mut vault = context.vault(&client, &args.passphrase).await?;
    let waiting = waiting("reading all of the file");
    let without: BTreeSet<String> = args.without.iter().cloned().collect();
    let plan = vault.plan_import(&source, existing(args.existing), &without).await?;
    if !args.dry_run {
        let mut done = 0;
        let imported = vault.import(&source, &plan, |written, total| {
            done = written;
            waiting.tell(&format!("{written} of {total} entries and records are in the vault"));
        });
        imported.await.with_context(|| {
            format!(
                "{done} of {} entries and records are in the vault; run the same command again, and it goes on from there",
                plan.to_write() + plan.records_to_write()
            )
        })?;
    }
    drop(waiting);
    tell(context, args, &source, &plan)
}

fn existing(said: ExistingArg) -> Existing {
    match said {
        ExistingArg::Refuse => Existing::Refuse,
        ExistingArg::Keep => Existing::Keep,
        ExistingArg::Replace => Existing::Replace,
    }
}

fn tell(context: &Context, args: &ImportArgs, source: &Source, plan: &Plan) -> anyhow::Result<()> {
    let report = Report {
        file: source.digest().to_string(),
        dry_run: args.dry_run,
        resumed: plan.was_cut_short(),
        written: plan.to_write(),
        records_written: plan.records_to_write(),
        entries: plan.told(),
        conversations: plan.conversations(),
    };
    context.out.value(&report, || text(&report))
}

fn text(report: &Report) -> String {
    let entry = |one: &Told| format!("{:<18} {:>6} bytes  {}", one.what.as_str(), one.bytes, one.name);
    let mut lines: Vec<String> = report.entries.iter().map(entry).collect();
    lines.extend(report.conversations.iter().map(conversation));
    let is_written = |what: What| matches!(what, What::New | What::Replaced);
    let not = report.entries.iter().filter(|one| !is_written(one.what)).count();
    let did = if report.dry_run { "would be" } else { "were" };
    let resumed = if report.resumed { "; an import that was cut short is finished" } else { "" };
    let rest = if not == 0 { String::new() } else { format!(", {not} not") };
    let talks = report.conversations.iter().filter(|one| is_written(one.what)).count();
    let spoken = if report.conversations.is_empty() {
        String::new()
    } else {
        let records = show::count(report.records_written, "record");
        format!(" and {} with {records}", show::count(talks, "conversation"))
    };
    lines.push(format!("{}{spoken} {did} written{rest}{resumed}", show::count(report.written, "secret")));
    lines.join("\n")
}

fn conversation(of: &ToldConversation) -> String {
    let there = match of.there {
        there if there > 0 && of.what == What::New => format!(", {there} of them there already"),
        _ => String::new(),
    };
    let cut = match of.exported_from {
        1 => String::new(),
        from => format!(", from {from} on when it was exported"),
    };
    let (what, records, id) = (of.what.as_str(), of.records, of.conversation);
    format!("{what:<18} {records:>6} records{there}{cut}  conversation {id}")
}
