//! `ocmt security test-alerts`: operators' channels are tried as the node of this configuration would tell them.

use std::{process::ExitCode, sync::Arc};

use anyhow::{Context as _, anyhow, bail};
use ocmt_types::{Clock, Id as _, IdGen, RandomIds, SystemClock, TenantId};
use serde::Serialize;

use super::{args::TestAlertsArgs, output::Output};
use crate::{
    config::{self, Mode},
    mail::NodeMailer,
    oncall::{Carry as _, Ways, channels, trial},
};

#[derive(Serialize)]
struct Tried {
    channel: String,
    /// Why it was not taken; none if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<String>,
}

/// Sends to each, or to the one that is named; fails if one does not take it.
pub(super) async fn run(args: &TestAlertsArgs, out: Output) -> anyhow::Result<ExitCode> {
    rustls::crypto::ring::default_provider().install_default().ok();
    let config = config::load(Some(&args.config), std::env::vars());
    let config = config.with_context(|| format!("{} is refused", args.config.display()))?;
    let mut wanted = channels(&config).map_err(|why| anyhow!(why))?;
    wanted.retain(|channel| args.channel.as_ref().is_none_or(|name| *name == channel.name));
    if wanted.is_empty() {
        bail!("{} names no such channel for operators: see [[alerts.operators]]", args.config.display());
    }
    let (clock, ids): (Arc<dyn Clock>, Arc<dyn IdGen>) = (Arc::new(SystemClock), Arc::new(RandomIds));
    let prints = config.node.mode == Mode::Dev;
    let letters = NodeMailer::open(&config.mail, String::new(), prints, clock.clone(), ids.clone())?;
    let ways = Ways::open(&config, letters, clock.clone()).map_err(|why| anyhow!(why))?;
    let mut tried = Vec::new();
    for channel in &wanted {
        // a trial is of no cluster
        let alert = trial(TenantId::from_bytes([0; 16]), ids.id(), &*clock);
        let failed = ways.carry(channel, &alert).await.err().map(|error| error.to_string());
        tried.push(Tried { channel: channel.name.clone(), failed });
    }
    let all_taken = tried.iter().all(|one| one.failed.is_none());
    out.list(&tried, &["CHANNEL", "TAKEN"], |one| {
        vec![one.channel.clone(), one.failed.clone().unwrap_or_else(|| "yes".to_owned())]
    })?;
    Ok(if all_taken { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
