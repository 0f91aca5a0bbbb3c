//! What an operator may set, with secure defaults for all of it.
//!
//! One TOML file, environment overrides `OCMT__SECTION__KEY`, unknown keys refused with a suggestion
//! ([`load`]). Sections whose feature is not built yet do not exist here: a setting that would be
//! ignored is refused instead.

mod alerts;
mod audit;
mod check;
mod cluster;
mod containers;
mod duration;
mod egress;
mod listen;
mod load;
mod mail;
mod otlp;
mod outbound;
mod rates;
#[cfg(test)]
mod reference;
mod snapshots;

use std::path::PathBuf;

use ocmt_actors::api::pairing::{DirectPolicy, GroupPolicy};
use serde::{Deserialize, Serialize};

pub use alerts::{Alerts, OperatorAlerts};
pub use audit::Audit;
pub use check::check;
pub use cluster::{Cluster, HostMemory, Store, StorePlace};
pub use containers::{Containers, DriftPolicy, RuntimeKind, Seccomp};
pub use duration::HumanDuration;
pub use egress::Egress;
pub use listen::{Listen, ProxyHeader};
pub use load::{ConfigError, load};
pub use mail::{Mail, SmtpTls};
pub use otlp::Otlp;
pub use outbound::Outbound;
pub use rates::{Rate, Rates, Redis};
pub use snapshots::{SnapshotPlace, Snapshots};

/// How much a node may relax.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The secure default: no short recovery delays, no `process` runtime, no printed links.
    #[default]
    Production,
    /// One developer's machine: sign-in links are printed, short delays and the `process` runtime allowed.
    Dev,
    /// `ocmt demo`: as `dev`, and everything is gone afterwards.
    Demo,
}

impl Mode {
    /// Whether development shortcuts are allowed.
    pub const fn is_relaxed(self) -> bool {
        matches!(self, Self::Dev | Self::Demo)
    }
}

/// The whole configuration of a node.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// This node.
    pub node: Node,
    /// Where it listens.
    pub listen: Listen,
    /// Certificates of the client listener.
    pub tls: Tls,
    /// Durable state.
    pub store: Store,
    /// This node among others.
    pub cluster: Cluster,
    /// Containers on this host.
    pub containers: Containers,
    /// Whether and how far containers get out.
    pub egress: Egress,
    /// Encrypted copies of volumes.
    pub snapshots: Snapshots,
    /// When idle containers are suspended.
    pub hibernation: Hibernation,
    /// Sign-in and sessions.
    pub sessions: Sessions,
    /// Delays of recovery ceremonies that new tenants start with.
    pub recovery: Recovery,
    /// Tenants.
    pub tenants: Tenants,
    /// Who may talk to agents over messengers, where a tenant's policy says nothing else.
    pub pairing: Pairing,
    /// Bounds that keep one caller from starving others.
    pub limits: Limits,
    /// How often who may do what.
    pub rates: Rates,
    /// Where all nodes count it.
    pub redis: Redis,
    /// How notices and sign-in links leave the node.
    pub mail: Mail,
    /// Tenants' own OpenID providers.
    pub sso: Sso,
    /// Connections of containers to other people's services.
    pub oauth: OAuth,
    /// Where tenants may have the node connect to.
    pub outbound: Outbound,
    /// Where the heads of audits are handed out to.
    pub audit: Audit,
    /// Channels for alerts: those of tenants, and those of operators.
    pub alerts: Alerts,
    /// Logs.
    pub telemetry: Telemetry,
}

/// `[node]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Node {
    /// `production`, `dev` or `demo`.
    pub mode: Mode,
    /// State of this node: database (SQLite), keys, certificates; made with mode 0700.
    pub data_dir: PathBuf,
}

impl Default for Node {
    fn default() -> Self {
        Self { mode: Mode::Production, data_dir: PathBuf::from("/var/lib/ocmt") }
    }
}

/// `[tls]`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// PEM certificate chain of the client listener. Empty: one is issued by the node's own CA.
    pub certificate: PathBuf,
    /// PEM private key of `certificate`.
    pub key: PathBuf,
}

/// `[hibernation]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Hibernation {
    /// Idle time after which a container is paused, at least 1 min (1 s in `dev`).
    pub pause_after: HumanDuration,
    /// Idle time after which it is stopped, longer than `pause_after`.
    pub stop_after: HumanDuration,
}

impl Default for Hibernation {
    fn default() -> Self {
        Self { pause_after: HumanDuration::minutes(30), stop_after: HumanDuration::hours(4) }
    }
}

/// `[sessions]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sessions {
    /// A session ends after this time without a call.
    pub idle: HumanDuration,
    /// A session ends after this time in any case.
    pub absolute: HumanDuration,
    /// Sessions of one user at a time, 1 to 1000; the oldest gives way.
    pub per_user: u32,
    /// Life of a sign-in link, at most 1 h.
    pub link: HumanDuration,
    /// Sign-up and sign-in letters are made at a time drawn at random within this after the answer, at most 10 s: their work tells who has an account.
    pub link_spread: HumanDuration,
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            idle: HumanDuration::hours(1),
            absolute: HumanDuration::hours(24),
            per_user: 20,
            link: HumanDuration::minutes(10),
            link_spread: HumanDuration::seconds(1),
        }
    }
}

/// `[recovery]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Recovery {
    /// How long a lock by a guardian holds.
    pub lock: HumanDuration,
    /// From the hand-over of the notice to release.
    pub delay: HumanDuration,
    /// Delay of a change of guardians.
    pub change_delay: HumanDuration,
    /// Window in which a change must be finished. `lock ≥ delay ≥ change_delay + change_window`.
    pub change_window: HumanDuration,
}

impl Default for Recovery {
    fn default() -> Self {
        Self {
            lock: HumanDuration::hours(5 * 24),
            delay: HumanDuration::hours(48),
            change_delay: HumanDuration::hours(36),
            change_window: HumanDuration::hours(12),
        }
    }
}

/// `[tenants]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tenants {
    /// From asking for the deletion of a tenant to its beginning: at least 1 h in production, at most 90 days. The same
    /// on all nodes.
    pub deletion_delay: HumanDuration,
}

impl Default for Tenants {
    fn default() -> Self {
        Self { deletion_delay: HumanDuration::hours(7 * 24) }
    }
}

/// `[pairing]`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pairing {
    /// Direct messages: `pairing`, `allowlist`, `open` or `disabled`.
    pub dm_policy: DirectPolicy,
    /// Messages in groups of a messenger: `allowlist`, `open` or `disabled`.
    pub group_policy: GroupPolicy,
}

/// `[limits]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Requests of one tenant in work or waiting at once, 1 to 100000.
    pub tenant_requests: u32,
    /// Bytes of those requests, 1 MiB to 1 GiB.
    pub tenant_bytes: u32,
    /// Connections at once, 1 to 1000000.
    pub connections: u32,
    /// Connections of one address (of IPv6: of one /64) at once, 1 to 100000.
    pub connections_per_address: u32,
    /// Streams of one HTTP/2 connection at once, 1 to 10000.
    pub streams_per_connection: u32,
    /// The largest request message in bytes, 64 KiB to 64 MiB.
    pub message_bytes: u32,
    /// Longest time a call may take when the caller names no deadline.
    pub call: HumanDuration,
    /// A tenant without a call for this long is put to sleep; its state is durable.
    pub idle_tenant: HumanDuration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            tenant_requests: 256,
            tenant_bytes: 32 << 20,
            connections: 10_000,
            connections_per_address: 256,
            streams_per_connection: 200,
            message_bytes: 4 << 20,
            call: HumanDuration::seconds(30),
            idle_tenant: HumanDuration::minutes(10),
        }
    }
}

/// `[sso]`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sso {
    /// A PEM file of the authorities that providers' certificates may come from; empty for those that the machine
    /// trusts.
    pub ca_file: PathBuf,
}

/// `[oauth]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OAuth {
    /// Hosts that cells are carried to, `host` or `host:port`, by names that lead to public addresses: of
    /// providers that containers connect to. None carries nobody.
    pub hosts: Vec<String>,
}

impl Default for OAuth {
    fn default() -> Self {
        let known =
            ["accounts.google.com", "oauth2.googleapis.com", "login.microsoftonline.com", "github.com"];
        Self { hosts: known.map(str::to_owned).to_vec() }
    }
}

/// `[telemetry]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Telemetry {
    /// A filter as in `info,ocmt=debug`.
    pub filter: String,
    /// `json` or `text`.
    pub format: LogFormat,
    /// Where traces go.
    pub otlp: Otlp,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self { filter: String::from("info,ractor=warn"), format: LogFormat::Json, otlp: Otlp::default() }
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// For people.
    Text,
}
