//! A user's own pages as templates: what others wrote in them is text, and kept in its own direction of writing.

use askama::Template;

use super::super::frame::Frame;

/// One's own containers.
#[derive(Template)]
#[template(path = "containers.html")]
pub(super) struct Containers {
    pub(super) frame: Frame,
    pub(super) containers: Vec<OneContainer>,
    /// It is not the first page.
    pub(super) further: bool,
    pub(super) next: Option<String>,
}

/// One of them.
pub(super) struct OneContainer {
    pub(super) id: String,
    pub(super) state: String,
    pub(super) since: String,
    pub(super) image: String,
    pub(super) made: String,
}

/// One container.
#[derive(Template)]
#[template(path = "container.html")]
pub(super) struct Shown<'a> {
    pub(super) frame: Frame,
    pub(super) one: OneContainer,
    /// It is the visitor's, and not one that a group or an administrator sees.
    pub(super) own: bool,
    pub(super) command: String,
    pub(super) cell: String,
    pub(super) active: String,
    /// How it ended by itself; may be empty, as why it failed.
    pub(super) exit: String,
    pub(super) failure: String,
    /// That its sealed volume was not sealed, why, and what helps; may be empty.
    pub(super) unsealed: String,
    /// Whether its host does.
    pub(super) answers: bool,
    pub(super) awake: Option<Awake>,
    pub(super) can_wake: bool,
    pub(super) can_pause: bool,
    pub(super) csrf: &'a str,
}

/// What its workload prints.
#[derive(Template)]
#[template(path = "container_log.html")]
pub(super) struct Log {
    pub(super) frame: Frame,
    pub(super) cell: Cell,
}

/// A terminal in it.
#[derive(Template)]
#[template(path = "container_terminal.html")]
pub(super) struct Terminal {
    pub(super) frame: Frame,
    pub(super) cell: Cell,
}

/// Where a channel to it goes.
pub(super) struct Cell {
    /// Whether there is a cell that would answer.
    pub(super) unlocked: bool,
    pub(super) tenant: String,
    pub(super) container: String,
    /// Of the cell's key, in hexadecimal, as its host's id and key.
    pub(super) statement: String,
    pub(super) node: String,
    pub(super) node_key: String,
}

/// What holds it awake, and when it sleeps and wakes; times may be empty.
pub(super) struct Awake {
    /// It is; one that sleeps is held awake by nothing.
    pub(super) now: bool,
    pub(super) reasons: Vec<String>,
    pub(super) pause: String,
    pub(super) stop: String,
    pub(super) wake: String,
}

/// Connections of one's containers.
#[derive(Template)]
#[template(path = "connections.html")]
pub(super) struct Connections<'a> {
    pub(super) frame: Frame,
    pub(super) connections: Vec<OneConnection>,
    /// The entry of the vault that has the tokens of the one that was ended just now.
    pub(super) ended: Option<String>,
    /// Whether its provider took that.
    pub(super) revoked: bool,
    pub(super) csrf: &'a str,
}

/// One of them.
pub(super) struct OneConnection {
    pub(super) id: String,
    pub(super) container: String,
    pub(super) provider: String,
    pub(super) scopes: String,
    pub(super) made: String,
    pub(super) renewed: String,
    pub(super) unfiled: bool,
}

/// Groups and shares.
#[derive(Template)]
#[template(path = "groups.html")]
pub(super) struct Groups<'a> {
    pub(super) frame: Frame,
    pub(super) groups: Vec<OneGroup>,
    pub(super) further: bool,
    pub(super) next: Option<String>,
    pub(super) shares: Vec<OneShare>,
    pub(super) further_shares: bool,
    pub(super) next_share: Option<String>,
    /// One was left just now whose vault is due for new keys.
    pub(super) due: bool,
    pub(super) csrf: &'a str,
}

/// A group.
pub(super) struct OneGroup {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) members: u32,
    pub(super) since: String,
    pub(super) vault: bool,
}

/// A share.
pub(super) struct OneShare {
    pub(super) id: String,
    /// From whom, or to whom.
    pub(super) whose: String,
    pub(super) state: String,
    pub(super) may: String,
    pub(super) entries: usize,
    pub(super) since: String,
    pub(super) until: String,
    pub(super) can_take: bool,
    pub(super) can_end: bool,
    /// It was not taken yet.
    pub(super) waits: bool,
}

/// One group.
#[derive(Template)]
#[template(path = "group.html")]
pub(super) struct Group<'a> {
    pub(super) frame: Frame,
    pub(super) one: OneGroup,
    /// Since when its vault is due for new keys.
    pub(super) due: Option<String>,
    pub(super) members: Vec<OneMember>,
    pub(super) held: Vec<OneResource>,
    /// Whether the visitor is in it.
    pub(super) inside: bool,
    pub(super) csrf: &'a str,
}

/// Somebody in it.
pub(super) struct OneMember {
    pub(super) email: String,
    pub(super) role: String,
    pub(super) since: String,
}

/// A container that it holds.
pub(super) struct OneResource {
    pub(super) container: String,
    pub(super) since: String,
}

/// What is asked for.
#[derive(Template)]
#[template(path = "approvals.html")]
pub(super) struct Approvals<'a> {
    pub(super) frame: Frame,
    /// Of the visitor.
    pub(super) asked: Vec<OneRequest>,
    /// By the visitor.
    pub(super) mine: Vec<OneRequest>,
    pub(super) further: bool,
    pub(super) next: Option<String>,
    pub(super) csrf: &'a str,
}

/// One of them, to decide on.
#[derive(Template)]
#[template(path = "approval.html")]
pub(super) struct Approval<'a> {
    pub(super) frame: Frame,
    pub(super) one: OneRequest,
    pub(super) tenant: String,
    pub(super) vault: String,
    /// Who asks, or whose program.
    pub(super) requester: String,
    /// The program's key in hexadecimal; empty where a person asks.
    pub(super) program: String,
    /// To write takes the vault's ledger, which a device writes.
    pub(super) at_device: bool,
    /// As the wire numbers them, apart by spaces.
    pub(super) permissions: String,
    /// In milliseconds.
    pub(super) lifetime: i64,
    pub(super) csrf: &'a str,
}

/// One request.
pub(super) struct OneRequest {
    pub(super) id: String,
    /// A program asks, by the name that its user gave it.
    pub(super) is_program: bool,
    pub(super) who: String,
    pub(super) may: String,
    pub(super) entry: String,
    pub(super) reason: String,
    pub(super) lasts: String,
    pub(super) since: String,
    pub(super) until: String,
}

/// Who may talk to one's agents.
#[derive(Template)]
#[template(path = "pairing.html")]
pub(super) struct Pairings<'a> {
    pub(super) frame: Frame,
    pub(super) waiting: Vec<OnePairing>,
    pub(super) further: bool,
    pub(super) next: Option<String>,
    pub(super) senders: Vec<OneSender>,
    pub(super) further_senders: bool,
    pub(super) next_sender: Option<String>,
    /// The code that was typed just now is another.
    pub(super) wrong: bool,
    pub(super) csrf: &'a str,
}

/// A sender who waits.
pub(super) struct OnePairing {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) channel: String,
    pub(super) sender: String,
    pub(super) container: String,
    pub(super) since: String,
    pub(super) until: String,
}

/// A sender who is let through.
pub(super) struct OneSender {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) channel: String,
    pub(super) sender: String,
    pub(super) container: String,
    pub(super) since: String,
}

/// Where alerts go.
#[derive(Template)]
#[template(path = "alerts.html")]
pub(super) struct Alerts<'a> {
    pub(super) frame: Frame,
    /// The visitor's own address, to begin with.
    pub(super) email: &'a str,
    pub(super) channels: Vec<OneChannel>,
    /// Of what was tried just now.
    pub(super) trial: Option<Trial>,
    pub(super) csrf: &'a str,
}

/// What came of a trial.
pub(super) struct Trial {
    pub(super) taken: bool,
    /// In English, as receivers speak.
    pub(super) why: String,
}

/// A channel.
pub(super) struct OneChannel {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) hint: String,
    pub(super) least: String,
    pub(super) actions: String,
    pub(super) tried: String,
}

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;
