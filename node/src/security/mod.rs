//! `ocmt security audit`: what an operator should know of how this node is set up and runs, and how to mend it.
//!
//! It looks at the running system where it can and at the configuration where it must. What it could not look at it says:
//! a check that did not run is no good news.

pub mod certificates;
pub mod containers;
pub mod database;
pub mod exposure;
pub mod files;
pub mod live;
pub mod report;
pub mod settings;

pub use report::{Finding, Report, Severity};

use std::{path::Path, sync::Arc};

use ocmt_types::Clock;

use crate::config::{self, Config, Mode, RuntimeKind, StorePlace};

/// What is to be looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// The running node, its engines and containers too.
    pub deep: bool,
}

/// Looks at the node that `file` configures.
pub async fn audit(file: &Path, depth: Depth, clock: &Arc<dyn Clock>) -> Report {
    let mut report = Report::default();
    let config = match config::load(Some(file), std::env::vars()) {
        Ok(config) => config,
        Err(error) => {
            report.could_not("configuration", format!("{} is refused: {error}", file.display()));
            return report;
        }
    };
    settled(&config, Some(file), clock, &mut report).await;
    if depth.deep {
        Box::pin(live::check(&config, &mut report)).await;
        Box::pin(exposure::check(&config, &mut report)).await;
        Box::pin(containers::check(&config, &mut report)).await;
    }
    report.sort();
    report
}

/// Looks at what a node that runs with this configuration stands on: all but what is asked of it from outside, and the file of the
/// configuration.
pub async fn audit_from_within(config: &Config, clock: &Arc<dyn Clock>) -> Report {
    let mut report = Report::default();
    settled(config, None, clock, &mut report).await;
    report.sort();
    report
}

async fn settled(config: &Config, file: Option<&Path>, clock: &Arc<dyn Clock>, report: &mut Report) {
    report.extend(settings::check(config));
    files::check(config, file, report);
    certificates::check(config, clock.now(), report);
    Box::pin(database::check(config, clock.now(), report)).await;
}

/// Whether it is one of several nodes.
fn is_of_a_cluster(config: &Config) -> bool {
    matches!(config.store.place(), Some(StorePlace::Postgres(_)))
}

fn runs_docker(config: &Config) -> bool {
    config.containers.runtime == RuntimeKind::Docker
}

fn is_for_real(config: &Config) -> bool {
    config.node.mode == Mode::Production
}
