//! `ocmt security audit`.

use std::{fs, path::Path, process::ExitCode, sync::Arc};

use anyhow::{Context as _, anyhow, bail};
use ocmt_types::{Clock, SystemClock};

use super::{
    args::{SecurityAuditArgs, SecurityCommand},
    output::{self, Output},
    security_alerts,
};
use crate::{
    config::{self, Config},
    pki,
    security::{
        self, Depth, Report,
        files::{self, Fix},
    },
};

/// Where a fix says how it is undone, in the data folder.
const UNDO: &str = "security-undo.json";

pub(super) async fn run(command: &SecurityCommand, out: Output) -> anyhow::Result<ExitCode> {
    let args = match command {
        SecurityCommand::Audit(args) => args,
        SecurityCommand::TestAlerts(args) => return Box::pin(security_alerts::run(args, out)).await,
    };
    if let Some(file) = &args.undo {
        return undo(&load(args)?, file, out);
    }
    if args.fix {
        fix(args)?;
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let report = Box::pin(security::audit(&args.config, Depth { deep: args.deep }, &clock)).await;
    if let Some(file) = &args.sarif {
        let text = serde_json::to_vec_pretty(&report.sarif())?;
        fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    out.value(&report, || report.text())?;
    Ok(ExitCode::from(report.exit_code()))
}

/// Shows what would be changed, asks, writes down how it is undone, and changes it.
fn fix(args: &SecurityAuditArgs) -> anyhow::Result<()> {
    let config = load(args)?;
    files::may_change(&config).map_err(|why| anyhow!(why))?;
    let fixes = files::wanting(&config, &mut Report::default());
    if fixes.is_empty() {
        output::note("there is nothing that --fix could mend");
        return Ok(());
    }
    for fix in &fixes {
        output::note(&format!("  {:04o} -> {:04o}  {}", fix.from, fix.to, fix.path.display()));
    }
    if !args.yes && !output::confirm("Change these modes?", "--yes")? {
        output::note("nothing was changed");
        return Ok(());
    }
    let undo = config.node.data_dir.join(UNDO);
    // before anything is changed: whoever is cut off can put back what was
    pki::write_private(&undo, &serde_json::to_vec_pretty(&known(&undo, &fixes)?)?)?;
    let done = files::apply(&fixes)?;
    output::note(&format!(
        "changed {} of {}; undo with: ocmt security audit --undo {}",
        done.len(),
        fixes.len(),
        undo.display()
    ));
    Ok(())
}

/// What earlier fixes changed stays undoable.
fn known(undo: &Path, fixes: &[Fix]) -> anyhow::Result<Vec<Fix>> {
    let mut all: Vec<Fix> = if undo.exists() { read(undo)? } else { Vec::new() };
    all.retain(|old| !fixes.iter().any(|new| new.path == old.path));
    all.extend(fixes.iter().cloned());
    Ok(all)
}

fn load(args: &SecurityAuditArgs) -> anyhow::Result<Config> {
    let config = config::load(Some(&args.config), std::env::vars());
    config.with_context(|| format!("{} is refused", args.config.display()))
}

fn undo(config: &Config, file: &Path, out: Output) -> anyhow::Result<ExitCode> {
    files::may_change(config).map_err(|why| anyhow!(why))?;
    let fixes = read(file)?;
    if let Some(fix) = fixes.iter().find(|fix| !files::is_ours(config, fix)) {
        bail!(
            "{} is not this node's, or no mode that --fix changes: nothing was changed",
            fix.path.display()
        );
    }
    let done = files::undo(&fixes)?;
    fs::remove_file(file).with_context(|| format!("cannot remove {}", file.display()))?;
    out.done(&format!("put back {} of {} modes; the others were changed since", done.len(), fixes.len()))?;
    Ok(ExitCode::SUCCESS)
}

fn read(file: &Path) -> anyhow::Result<Vec<Fix>> {
    // nobody else may have written it
    let text = pki::read_private(file)?.with_context(|| format!("there is no {}", file.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} is no list of changes", file.display()))
}
