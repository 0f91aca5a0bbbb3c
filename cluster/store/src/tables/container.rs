//! Containers: what is wanted of each and what was seen of it.

use ocmt_types::{ContainerId, NodeId, Timestamp, UnlockId, UserId};

use crate::{kernel::row::rows, text_enum};

text_enum! {
    /// What a container is to be.
    pub enum DesiredState {
        /// Awake.
        Running = "running",
        /// Frozen in memory.
        Paused = "paused",
        /// Off, its volume kept.
        Stopped = "stopped",
        /// Gone with its volume.
        Absent = "absent",
        /// In quarantine: nothing but a recorded release leads out.
        Held = "held",
    }

    /// Where a container is in its life (architecture, "Containers and hosts").
    pub enum ContainerState {
        /// Not there.
        Absent = "absent",
        /// Being made.
        Creating = "creating",
        /// Awake.
        Running = "running",
        /// Being frozen.
        Pausing = "pausing",
        /// Frozen.
        Paused = "paused",
        /// Being stopped.
        Stopping = "stopping",
        /// Off.
        Stopped = "stopped",
        /// Being woken.
        Waking = "waking",
        /// Broken; see `failure`.
        Failed = "failed",
        /// In quarantine.
        Held = "held",
    }

    /// Why a sealed volume was not sealed.
    pub enum VolumeFault {
        /// Its host has no room for another sealing.
        HostFull = "host_full",
        /// Names take too much room, a path is too long, or folders lie too deep.
        Names = "names",
        /// Something wrote while it was copied, each time.
        Restless = "restless",
        /// A file of the volume or of the host could not be read or written.
        File = "file",
        /// Its cell did not say.
        Unknown = "unknown",
    }
}

rows! {
    /// A container with its volume, pinned to one host.
    pub struct Container: tenant("containers") {
        key {
            /// Which container.
            container_id: ContainerId,
        }
        /// Whose.
        user_id: UserId,
        /// What its owner calls it.
        name: String,
        /// The host it is pinned to.
        host_node: NodeId,
        /// Grows with each start from nothing; part of its name at the engine.
        generation: i64,
        /// What it is to be.
        desired: DesiredState,
        /// What it was when last looked at.
        observed: ContainerState,
        /// The engine's own reference to it.
        runtime_ref: Option<String>,
        /// Where its cell answers, `host:port`, while it runs.
        cell_addr: Option<String>,
        /// The image, by digest where the engine knows one.
        image: String,
        /// Workload, ports and limits in the actor's own encoding; never a secret.
        spec: Vec<u8>,
        /// What it reserves of its host's memory, in MiB; counted in [`HostMemory`] as long as this row stands.
        memory_mib: i64,
        /// Last activity of its user or its work.
        active_at: Timestamp,
        /// The unlock in force, if its cell is unlocked.
        unlock_id: Option<UnlockId>,
        /// The end of that unlock's lease.
        unlocked_until: Option<Timestamp>,
        /// The start secret of its cell, wrapped by the cluster's sealing key, while the cell runs.
        start_secret: Option<Vec<u8>>,
        /// What went wrong or why it is held, in words for its owner.
        failure: Option<String>,
        /// Exit code of its last unasked end, if somebody saw it.
        exit_code: Option<i64>,
        /// That end was for want of memory.
        exit_oom: bool,
        /// When that end was seen.
        exited_at: Option<Timestamp>,
        /// Grows with each change of the row.
        version: i64,
        /// When it was created.
        created_at: Timestamp,
        /// When it last changed state.
        updated_at: Timestamp,
        /// Its volume goes with it.
        erase_volume: bool,
        /// The size that its volume was given, in MiB, as long as this row stands; 0 for one without a bound.
        volume_mib: i64,
        /// Since when its sealed volume was not sealed; none if the last sealing succeeded.
        unsealed_since: Option<Timestamp>,
        /// Why the latest failed.
        unsealed_why: Option<VolumeFault>,
        /// Its cell has locked since: what was not sealed is gone.
        unsealed_lost: bool,
    } index(tenant_id, user_id) index(host_node);

    /// How much memory the containers that are pinned to a node reserve. Written only with the container's
    /// row, in one transaction, so that it is the sum of theirs.
    pub struct HostMemory: global("host_memory") {
        key {
            /// The host.
            node_id: NodeId,
        }
        /// In MiB.
        reserved_mib: i64,
    };
}
