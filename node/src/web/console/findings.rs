//! What `ocmt security audit` would say of this node, as far as the node can look at itself.

use std::{sync::Arc, time::Duration};

use axum::{extract::State, http::StatusCode, response::Response};
use ocmt_types::Timestamp;
use tokio::sync::Mutex;

use super::{
    super::{answer::html, frame::Frame, view::at},
    Console, Ground,
    at::At,
    view::{Findings, OneFinding},
};
use crate::security::{self, Report, Severity};

/// How long one look is good: files are read for it, and the database is asked.
const FRESH: Duration = Duration::from_secs(60);

/// The last look. One at a time: who comes meanwhile has it too.
#[derive(Default)]
pub(super) struct Looked(Mutex<Option<(Timestamp, Arc<Report>)>>);

impl Looked {
    async fn look(&self, ground: &Ground) -> (Timestamp, Arc<Report>) {
        let mut last = self.0.lock().await;
        let now = ground.clock.now();
        if let Some((at, report)) = last.as_ref().filter(|(at, _)| now.since(*at) < FRESH && *at <= now) {
            return (*at, report.clone());
        }
        let report = Arc::new(security::audit_from_within(&ground.config, &ground.clock).await);
        *last = Some((now, report.clone()));
        (now, report)
    }
}

/// The findings, the worst first.
pub(super) async fn show(State(console): State<Console>, who: At) -> Response {
    let (looked, report) = console.looked.look(&console.ground).await;
    let frame = who.frame();
    let findings = report.findings.iter().map(|one| OneFinding {
        severity: severity(&frame, one.severity),
        rule: one.rule,
        place: one.place.clone(),
        what: one.what.clone(),
        why: one.why,
        mend: one.mend.clone(),
    });
    let page = Findings {
        findings: findings.collect(),
        unchecked: report.unchecked.iter().map(|one| format!("{}: {}", one.check, one.why)).collect(),
        passed: report.passed.len(),
        node: console.ground.node.to_string(),
        at: at(looked),
        frame,
    };
    html(StatusCode::OK, &page, [])
}

fn severity(frame: &Frame, severity: Severity) -> String {
    let said = match severity {
        Severity::Critical => frame.say("finding.critical"),
        Severity::High => frame.say("finding.high"),
        Severity::Medium => frame.say("finding.medium"),
        Severity::Low => frame.say("finding.low"),
    };
    said.to_owned()
}
