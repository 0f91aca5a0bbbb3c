//! The console as templates: names of tenants and nodes in it are text.

use askama::Template;
use serde::Serialize;

use super::super::frame::Frame;

/// The cluster at a glance.
#[derive(Template)]
#[template(path = "console.html")]
pub(super) struct Overview<'a> {
    pub(super) frame: Frame,
    pub(super) operator: &'a str,
    pub(super) serving: String,
    pub(super) tenants: u64,
    pub(super) containers: u64,
    pub(super) memory: String,
    pub(super) view: u64,
    pub(super) sealing: String,
    /// What somebody should look at.
    pub(super) notes: Vec<String>,
}

/// All nodes.
#[derive(Template)]
#[template(path = "console_nodes.html")]
pub(super) struct Nodes {
    pub(super) frame: Frame,
    pub(super) nodes: Vec<OneNode>,
    pub(super) next: String,
}

/// One node.
#[derive(Template)]
#[template(path = "console_node.html")]
pub(super) struct Node {
    pub(super) frame: Frame,
    pub(super) one: OneNode,
}

/// A node as it is now; what of it is said again when it changes is `said`.
pub(super) struct OneNode {
    pub(super) said: Said,
    pub(super) address: String,
    pub(super) version: String,
    pub(super) renewals: u64,
    /// May be empty, as it is known of the node alone that is asked.
    pub(super) certificate: String,
    pub(super) can_drain: bool,
    pub(super) can_resume: bool,
}

/// What of a node is told as it changes, by the names that its places in a page have.
#[derive(Serialize)]
pub(super) struct Said {
    pub(super) id: String,
    pub(super) state: String,
    pub(super) tenants: u32,
    pub(super) containers: u32,
    pub(super) memory: String,
}

/// Asks whether an act is meant.
#[derive(Template)]
#[template(path = "console_act.html")]
pub(super) struct Act<'a> {
    pub(super) frame: Frame,
    pub(super) title: &'a str,
    pub(super) text: &'a str,
    pub(super) button: &'a str,
    pub(super) one: OneNode,
    pub(super) act: &'a str,
    pub(super) token: &'a str,
}

/// All tenants.
#[derive(Template)]
#[template(path = "console_tenants.html")]
pub(super) struct Tenants {
    pub(super) frame: Frame,
    pub(super) tenants: Vec<OneTenant>,
    /// It is not the first page.
    pub(super) further: bool,
    pub(super) next: String,
}

/// One tenant with its limits.
#[derive(Template)]
#[template(path = "console_tenant.html")]
pub(super) struct Tenant {
    pub(super) frame: Frame,
    pub(super) one: OneTenant,
    pub(super) made: String,
    /// When it will be deleted; empty most of the time.
    pub(super) deleted: String,
    pub(super) limits: Vec<Limit>,
}

/// A tenant.
pub(super) struct OneTenant {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) state: String,
}

/// A limit and what of it is used.
pub(super) struct Limit {
    pub(super) what: String,
    pub(super) said: String,
    pub(super) used: u64,
    pub(super) limit: u64,
}

/// Who owns whom.
#[derive(Template)]
#[template(path = "console_placement.html")]
pub(super) struct Placements {
    pub(super) frame: Frame,
    pub(super) placements: Vec<OnePlacement>,
    /// Whose alone; empty for all.
    pub(super) node: String,
    pub(super) next: String,
}

/// Of one tenant; nodes may be empty.
pub(super) struct OnePlacement {
    pub(super) tenant: String,
    pub(super) owner: String,
    pub(super) preferred: String,
    pub(super) epoch: u64,
    /// Its owner is the one that is preferred.
    pub(super) at_home: bool,
}

/// What goes on.
#[derive(Template)]
#[template(path = "console_work.html")]
pub(super) struct Work {
    pub(super) frame: Frame,
    pub(super) node: String,
    pub(super) awake: String,
    pub(super) sections: Vec<Section>,
}

/// What belongs together.
pub(super) struct Section {
    pub(super) title: String,
    pub(super) charts: Vec<Chart>,
}

/// Counts as bars.
pub(super) struct Chart {
    pub(super) title: String,
    pub(super) note: String,
    pub(super) bars: Vec<Bar>,
}

/// One of them.
pub(super) struct Bar {
    pub(super) label: String,
    pub(super) count: u64,
    /// Of a hundred.
    pub(super) width: u64,
}

/// The cluster's own audit.
#[derive(Template)]
#[template(path = "console_trail.html")]
pub(super) struct Trail {
    pub(super) frame: Frame,
    /// Only what operators are told of.
    pub(super) alerts: bool,
    pub(super) records: Vec<OneRecord>,
    /// Earlier ones are before this number.
    pub(super) next: Option<i64>,
}

/// One record of it; how bad it is and how it ended may be empty.
pub(super) struct OneRecord {
    pub(super) number: i64,
    pub(super) at: String,
    pub(super) severity: String,
    pub(super) outcome: String,
    pub(super) action: String,
    pub(super) actor: String,
    pub(super) object: String,
    pub(super) details: Vec<String>,
}

/// Where audits end.
#[derive(Template)]
#[template(path = "console_heads.html")]
pub(super) struct Heads {
    pub(super) frame: Frame,
    pub(super) heads: Vec<OneHead>,
    pub(super) next: Option<String>,
}

/// One of them.
pub(super) struct OneHead {
    pub(super) whose: String,
    /// The cluster's.
    pub(super) own: bool,
    pub(super) records: i64,
    pub(super) root: String,
}

/// What should be mended.
#[derive(Template)]
#[template(path = "console_findings.html")]
pub(super) struct Findings {
    pub(super) frame: Frame,
    pub(super) node: String,
    /// When the look began that is shown; empty if none has ended.
    pub(super) at: String,
    /// Since when another is made; empty if none is.
    pub(super) running: String,
    pub(super) findings: Vec<OneFinding>,
    /// How many more there are.
    pub(super) left_out: usize,
    pub(super) unchecked: Vec<String>,
    pub(super) passed: usize,
}

/// One of them, in English as the command says it.
pub(super) struct OneFinding {
    pub(super) severity: String,
    pub(super) rule: &'static str,
    pub(super) place: String,
    pub(super) what: String,
    pub(super) why: &'static str,
    pub(super) mend: String,
}

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;
