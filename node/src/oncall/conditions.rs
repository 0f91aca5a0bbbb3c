//! What a node looks at, again and again, and notes where it is not as it should be. Whatever several nodes see is noted once.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use ocmt_actors::System;
use ocmt_cluster::View;
use ocmt_store::Store;
use ocmt_types::{Clock, Incarnation, Timestamp};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::{Noter, condition};
use crate::{limits::Limiter, security::certificates::ends_at, tasks};

const LOOK_EVERY: Duration = Duration::from_secs(10);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Calls that limits refuse in one look, from which on it is a storm.
const STORM: u64 = 200;
/// A new sealing key is in use everywhere after this time.
const SEALED_WITHIN: Duration = HOUR;
/// A sealing key is old after this time.
const SEALING_OLD: Duration = Duration::from_secs(365 * 24 * 3600);
/// Before a node's own certificate ends, which it has renewed long before.
const NODE_SOON: Duration = Duration::from_secs(3 * 24 * 3600);
/// Before one ends that people renew.
const GIVEN_SOON: Duration = Duration::from_secs(14 * 24 * 3600);
/// Before the authority's ends, of which every client has to be told.
const AUTHORITY_SOON: Duration = Duration::from_secs(90 * 24 * 3600);

/// What is looked at.
pub struct Conditions {
    /// Writes it down.
    pub noter: Noter,
    /// Durable state.
    pub store: Store,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The cluster as observed last.
    pub views: watch::Receiver<Arc<View>>,
    /// What limits refuse.
    pub limiter: Limiter,
    /// What runs here.
    pub system: System,
    /// The folder of this node's certificates.
    pub pki: PathBuf,
    /// The certificate of the client listener, if the operator gave one.
    pub given: PathBuf,
}

/// What was seen before.
#[derive(Default)]
pub(super) struct Seen {
    buried: BTreeSet<Incarnation>,
    refused: u64,
    drifted: u64,
}

impl Conditions {
    /// Looks until the handle is dropped.
    pub fn begin(self) -> AbortOnDropHandle<()> {
        AbortOnDropHandle::new(tasks::spawn(async move {
            let mut seen = Seen::default();
            loop {
                self.look(&mut seen).await;
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }))
    }

    async fn look(&self, seen: &mut Seen) {
        let view = self.views.borrow().clone();
        deaths(&self.noter, &view, seen).await;
        self.certificates().await;
        let refused = self.limiter.decisions().map(|(_, one)| one.refused.load(Ordering::Relaxed)).sum();
        self.rise(&mut seen.refused, refused, STORM, condition::LIMIT_STORM, HOUR).await;
        let drifted = self.system.drifted();
        self.rise(&mut seen.drifted, drifted, 1, condition::DRIFT, Duration::from_secs(60)).await;
        self.sealing().await;
    }

    fn object(&self) -> String {
        format!("node/{}", self.noter.node())
    }

    /// A count that rose by `least` or more since the last look.
    async fn rise(&self, before: &mut u64, now: u64, least: u64, action: &'static str, quiet: Duration) {
        let rose = now.saturating_sub(*before);
        *before = now;
        if rose >= least {
            let facts = vec![("times".to_owned(), rose.to_string())];
            self.noter.try_note(action, self.object(), facts, quiet).await;
        }
    }

    async fn certificates(&self) {
        let own = self.object();
        // the same at every node, and told once
        certificate(&self.noter, &self.pki.join("ca.pem"), "authority", AUTHORITY_SOON, self.clock.now())
            .await;
        for (name, path, soon) in [
            ("node", self.pki.join("node.pem"), NODE_SOON),
            ("listener", self.pki.join("listener.pem"), NODE_SOON),
            ("given", self.given.clone(), GIVEN_SOON),
        ] {
            let object = format!("{own}/{name}");
            certificate(&self.noter, &path, &object, soon, self.clock.now()).await;
        }
    }

    async fn sealing(&self) {
        let latest = self.store.operators().latest_generation().await;
        let (Ok(Some(latest)), now) = (latest, self.clock.now()) else { return };
        let why = if latest.alone_since.is_none() && latest.made_at + SEALED_WITHIN < now {
            "the new sealing key is not in use everywhere yet: see `ocmt cluster status`"
        } else if latest.alone_since.is_some() && latest.made_at + SEALING_OLD < now {
            "the sealing key is older than a year"
        } else {
            return;
        };
        let facts = vec![("why".to_owned(), why.to_owned())];
        let object = format!("sealing/{}", latest.generation);
        self.noter.try_note(condition::SEALING_DUE, object, facts, DAY).await;
    }
}

/// Nodes that this one declared dead: no other did, so each is noted here or nowhere.
pub(super) async fn deaths(noter: &Noter, view: &View, seen: &mut Seen) {
    for (incarnation, node) in
        view.buried.iter().filter(|(life, _)| !seen.buried.contains(*life)).collect::<Vec<_>>()
    {
        let facts = vec![("incarnation".to_owned(), incarnation.to_string())];
        let noted =
            noter.note(condition::NODE_DEAD, format!("node/{node}"), facts, Duration::from_secs(5)).await;
        match noted {
            Ok(_) => {
                seen.buried.insert(*incarnation);
            }
            Err(error) => tracing::warn!(%node, %error, "that a node is dead cannot be noted yet"),
        }
    }
}

/// One that cannot be read is found by `ocmt security audit`; one that is not there is none.
pub(super) async fn certificate(noter: &Noter, path: &Path, object: &str, soon: Duration, now: Timestamp) {
    if !path.is_file() {
        return;
    }
    let Ok(ends) = ends_at(path) else { return };
    if now + soon < ends {
        return;
    }
    let (action, left) = if ends <= now {
        (condition::CERTIFICATE_ENDED, "0".to_owned())
    } else {
        (condition::CERTIFICATE_ENDS, (ends.since(now).as_secs() / DAY.as_secs()).to_string())
    };
    let facts = vec![("days_left".to_owned(), left), ("ends_at".to_owned(), ends.millis().to_string())];
    noter.try_note(action, format!("certificate/{object}"), facts, DAY).await;
}

#[cfg(test)]
#[path = "conditions_tests.rs"]
mod tests;
