//! Containers: life cycle, wake, the cell's key and unlock, the gateway.
//!
//! Calls that need a running container wake it: they are held, one wake serves all that wait, each waits
//! at most until its own deadline, and the answer says how the container was brought back ([`Wake`]).
//! The gateway's connections are made by [`crate::System::connect_gateway`] (shown a gateway token) and
//! [`crate::System::open_channel`] (in a session).

mod state_text;
mod unsealed;
mod wake;

use std::time::Duration;

pub use ocmt_runtime::RuntimeKind;
pub use ocmt_store::tables::ContainerState;
use ocmt_types::{ContainerId, Digest32, NodeId, Secret, Timestamp, UnlockId, UserId, VaultId};
use serde::{Deserialize, Serialize};

pub use unsealed::{Unsealed, VolumeFault};
pub use wake::{Wake, WakeKind};

use super::{
    agent_policy::{AgentPolicyHeld, AgentPolicySet, GetAgentPolicy, PutAgentPolicy},
    egress::{GetEgressPolicy, PolicySet, PutEgressPolicy},
};
pub use crate::host::{
    elsewhere::SessionElsewhere,
    ending::{Ender, Ending, ending},
    gateway::{Gateway, GatewayEnd, Shown, Way},
    gateway_key::GatewayKey,
    plain,
};
use crate::{
    call::calls,
    host::gateway::{Connected, Ticket},
    ports::HostStanding,
};

/// What a user chooses. Nothing here can widen the isolation profile; absent members mean the node's
/// defaults.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerSpec {
    /// The image by digest; tags in dev and demo only. The node has put its default in place of none.
    pub image: String,
    /// The workload and its arguments, at most 64 of 4096 bytes; none for a cell that only serves exec.
    pub argv: Vec<String>,
    /// Where the workload listens on the container's loopback.
    pub workload_port: Option<u16>,
    /// In bytes.
    pub memory_bytes: Option<i64>,
    /// Processes and threads.
    pub pids: Option<i64>,
    /// CPU weight.
    pub cpu_shares: Option<i64>,
    /// Idle time until it is paused, in milliseconds, where it differs from the tenant's policy.
    pub pause_after_ms: Option<i64>,
    /// Idle time until it is stopped, in milliseconds; more than `pause_after_ms`.
    pub stop_after_ms: Option<i64>,
    /// The gateway carries the workload's own HTTP and WebSockets in clear.
    #[serde(default)]
    pub gateway_plain: bool,
    /// Size of the sealed volume in bytes; none for a volume of plain files.
    #[serde(default)]
    pub sealed_volume_bytes: Option<i64>,
}

/// A container as its user sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerInfo {
    /// Which.
    pub id: ContainerId,
    /// Whose.
    pub user: UserId,
    /// Where it is in its life; with a host that is away, where it was when that was last known.
    #[serde(with = "state_text")]
    pub state: ContainerState,
    /// How its host stands: while it is away, the container can only be read about.
    pub host_is: HostStanding,
    /// What it runs.
    pub spec: ContainerSpec,
    /// Goes up each time it is made anew; from 1.
    pub generation: u64,
    /// The host it is pinned to.
    pub host: NodeId,
    /// What isolates it.
    pub runtime: RuntimeKind,
    /// When its cell locks; none if it is locked.
    pub unlocked_until: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it came to this state.
    pub state_since: Timestamp,
    /// Last activity that counts.
    pub active_at: Timestamp,
    /// How it ended last, if it does not run and the end was not asked for.
    pub exit: Option<ContainerExit>,
    /// Why it failed or is held, for people.
    pub failure: Option<String>,
    /// That its sealed volume was not sealed the last time.
    #[serde(default)]
    pub unsealed: Option<Unsealed>,
}

/// How a container ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerExit {
    /// Exit code, 128 + n for a signal; none when nobody saw it.
    pub code: Option<i64>,
    /// It ran out of memory.
    pub out_of_memory: bool,
    /// When.
    pub at: Timestamp,
}

/// Make a container; a user has one.
#[derive(Debug, Clone)]
pub struct CreateContainer {
    /// Whose; none for the caller.
    pub user: Option<UserId>,
    /// What it runs.
    pub spec: ContainerSpec,
    /// Start it too.
    pub start: bool,
}

/// One container.
#[derive(Debug, Clone)]
pub struct GetContainer {
    /// Which.
    pub container: ContainerId,
}

/// Containers that the caller may see, in the order of their ids.
#[derive(Debug, Clone)]
pub struct ListContainers {
    /// Only this user's.
    pub user: Option<UserId>,
    /// Behind this one.
    pub after: Option<ContainerId>,
    /// 1 to 100; 0 means 50.
    pub limit: u32,
}

/// Answer of [`ListContainers`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerPage {
    /// At most `limit`.
    pub containers: Vec<ContainerInfo>,
    /// Give it as `after` for the next page; none at the end.
    pub next: Option<ContainerId>,
}

/// Start it, and answer when its cell is ready.
#[derive(Debug, Clone)]
pub struct StartContainer {
    /// Which.
    pub container: ContainerId,
}

/// Bring it to running from wherever it is.
#[derive(Debug, Clone)]
pub struct WakeContainer {
    /// Which.
    pub container: ContainerId,
}

/// Answer of [`CreateContainer`], [`StartContainer`] and [`WakeContainer`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Woken {
    /// As it is now.
    pub container: ContainerInfo,
    /// How it was brought back.
    pub wake: Wake,
}

/// Freeze it; memory and unlock are kept. `CONTAINER_NOT_RUNNING` if there is nothing to freeze.
#[derive(Debug, Clone)]
pub struct PauseContainer {
    /// Which.
    pub container: ContainerId,
}

/// Stop it; the unlock is gone.
#[derive(Debug, Clone)]
pub struct StopContainer {
    /// Which.
    pub container: ContainerId,
    /// What the workload has to end by itself, at most 300 s.
    pub grace: Duration,
}

/// Remove it, its volume never (that is not built yet: asking for it is refused).
#[derive(Debug, Clone)]
pub struct RemoveContainer {
    /// Which.
    pub container: ContainerId,
    /// The volume too.
    pub delete_volume: bool,
}

/// Put it into quarantine: it is stopped, and nothing wakes it until it is released.
#[derive(Debug, Clone)]
pub struct HoldContainer {
    /// Which.
    pub container: ContainerId,
    /// Why, 1 to 500 bytes.
    pub reason: String,
}

/// Take it out of quarantine; it is stopped then.
#[derive(Debug, Clone)]
pub struct ReleaseContainer {
    /// Which.
    pub container: ContainerId,
    /// Why, 1 to 500 bytes.
    pub reason: String,
}

/// Why is it awake, and when will it sleep.
#[derive(Debug, Clone)]
pub struct ExplainIdle {
    /// Which.
    pub container: ContainerId,
}

/// Answer of [`ExplainIdle`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdleExplained {
    /// Where it is.
    #[serde(with = "state_text")]
    pub state: ContainerState,
    /// Last activity that counts.
    pub active_at: Timestamp,
    /// What holds it awake now.
    pub reasons: Vec<AwakeReason>,
    /// When it will be paused if nothing happens.
    pub pause_due_at: Option<Timestamp>,
    /// When it will be stopped if nothing happens.
    pub stop_due_at: Option<Timestamp>,
    /// When the cell locks; none if it is locked.
    pub unlocked_until: Option<Timestamp>,
    /// When a schedule wakes it next; none if none does. A host of an earlier version does not say.
    #[serde(default)]
    pub next_wake_at: Option<Timestamp>,
}

/// Something that holds a container awake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwakeReason {
    /// What.
    pub kind: AwakeKind,
    /// How many.
    pub count: u32,
    /// Last activity of it.
    pub last_at: Option<Timestamp>,
    /// Until when it holds.
    pub until: Option<Timestamp>,
}

/// Kinds of what holds a container awake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AwakeKind {
    /// Frames of a sealed channel, over gateway or gRPC.
    Channel,
    /// A program run in it.
    Exec,
    /// Somebody follows its logs.
    Logs,
    /// Work that the cell reports.
    Work,
    /// It was woken, or asked for, a moment ago.
    JustWoken,
}

/// The cell's key, for sealing an unlock payload and opening channels. Wakes the container.
#[derive(Debug, Clone)]
pub struct GetCellKey {
    /// Which.
    pub container: ContainerId,
}

/// Answer of [`GetCellKey`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellKeyStated {
    /// `ocmt_crypto::cell::CellKeyStatement`, signed by the host's identity key.
    pub statement: Vec<u8>,
    /// Certificate of that key first, then its issuers, DER.
    pub certificate_chain: Vec<Vec<u8>>,
    /// The cell holds an unlock and takes no payload.
    pub unlocked: bool,
    /// How the container was brought back.
    pub wake: Wake,
}

/// Hand a sealed unlock payload to the cell, with the ciphertexts of the entries it maps.
#[derive(Debug, Clone)]
pub struct UnlockCell {
    /// Which.
    pub container: ContainerId,
    /// Chosen by the client, bound into the payload.
    pub unlock: UnlockId,
    /// Sealed to the cell's key, at most 256 KiB.
    pub sealed_payload: Vec<u8>,
    /// The caller's own vault.
    pub vault: VaultId,
    /// Objects of it and their versions, at most 256. `VERSION_CHANGED` if one is another by now.
    pub objects: Vec<(Digest32, u64)>,
}

/// Extend the unlock lease. `VAULT_LOCKED` if there is none.
#[derive(Debug, Clone)]
pub struct ExtendUnlock {
    /// Which.
    pub container: ContainerId,
    /// Authenticated under the payload, at most 1024 bytes.
    pub extension: Vec<u8>,
}

/// Answer of [`UnlockCell`] and [`ExtendUnlock`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unlocked {
    /// When the cell locks unless the lease is extended.
    pub until: Timestamp,
    /// How the container was brought back.
    pub wake: Wake,
}

/// Lock the cell at once. A container that does not run is locked already.
#[derive(Debug, Clone)]
pub struct LockCell {
    /// Which.
    pub container: ContainerId,
}

/// A token for the gateway of one container, good with the caller's session alone.
#[derive(Debug, Clone)]
pub struct IssueGatewayToken {
    /// Which.
    pub container: ContainerId,
    /// 10 s to 1 h; none for 15 min.
    pub lifetime: Option<Duration>,
}

/// Answer of [`IssueGatewayToken`].
pub struct GatewayToken {
    /// PASETO v4.public.
    pub token: Secret<String>,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Of the system: connect to the cell, waking the container. Made with the caller's session tied to it.
pub struct ConnectGateway {
    pub(crate) container: ContainerId,
    pub(crate) way: Way,
    pub(crate) told: bool,
    pub(crate) ticket: Ticket,
}

calls! {
    /// Calls of this area. Those that act on the host are stored for repeats by their admission
    /// (`host::admission`), not by their answers.
    Container: ContainerCall of "ContainerService" {
        once CreateContainer => Woken,
        read GetContainer => ContainerInfo,
        read ListContainers => ContainerPage,
        once StartContainer => Woken,
        once WakeContainer => Woken,
        once PauseContainer => ContainerInfo,
        once StopContainer => ContainerInfo,
        once RemoveContainer => (),
        once HoldContainer => ContainerInfo,
        once ReleaseContainer => ContainerInfo,
        read ExplainIdle => IdleExplained,
        read GetCellKey => CellKeyStated,
        once UnlockCell => Unlocked,
        once ExtendUnlock => Unlocked,
        once LockCell => (),
        once IssueGatewayToken => GatewayToken,
        once ConnectGateway => Connected,
        read GetEgressPolicy => PolicySet,
        write PutEgressPolicy => PolicySet,
        read GetAgentPolicy => AgentPolicyHeld,
        write PutAgentPolicy => AgentPolicySet,
    }
}
