//! Containers: what an actor asks of an engine, and the three engines that answer.
//!
//! [`Runtime`] is the face (object-safe: actors hold an `Arc<dyn Runtime>`). [`docker`] runs containers
//! under the hardened profile, [`process`] runs the cell as a bare child process for machines without
//! Docker and isolates nothing, [`sim`] is memory alone, with faults, for the tests of others. The same
//! conformance suite (`tests/conformance`) holds all three to the contract written at each method.
//!
//! A container is named by its id and generation ([`ContainerRef`]); the engine's name follows from it,
//! so that a node that lost its memory finds its containers by label and adopts them.

mod archive;
pub mod docker;
pub mod egress;
mod erasing;
mod error;
mod image;
mod observed;
pub mod process;
pub mod sim;
mod spec;
pub mod volume;

use std::{fmt, sync::Arc, time::Duration};

use futures_util::{FutureExt as _, future::BoxFuture, stream::BoxStream};
use ocmt_types::{Secret, TenantId, UserId};

use egress::{Door, Outlet};

pub use archive::{ARCHIVE_WITHIN, ArchiveCell, ArchiveErrand};
pub use error::RuntimeError;
pub use image::{ImageRef, ParseImageError};
pub use observed::{CellAddress, Exit, Observed, RuntimeEvent, State};
pub use spec::{
    CELL_PORT, ContainerRef, ContainerSpec, Egress, Labels, Limits, MAX_SEALED_VOLUME, Mode,
    ParseLabelsError, SEALED_DIR, WORKDIR,
};

/// What a call of a [`Runtime`] gives: a future that may be sent to another thread.
pub type Call<'a, T> = BoxFuture<'a, Result<T, RuntimeError>>;

/// The one-time start secret of a cell: 32 random bytes, fresh at each start.
pub type StartSecret = Secret<[u8; 32]>;

/// Which engine this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuntimeKind {
    /// Docker, through its socket.
    Docker,
    /// Child processes of the node.
    Process,
    /// Memory alone.
    Sim,
}

impl fmt::Display for RuntimeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Docker => "docker",
            Self::Process => "process",
            Self::Sim => "sim",
        })
    }
}

/// What stands between a workload and the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// Namespaces, cgroups, seccomp, no capabilities, a network of its own.
    Container,
    /// Nothing: the workload can do whatever the node's user can.
    None,
}

/// An engine that runs containers.
///
/// Calls are safe to repeat after an outcome that is not known: what is already so is `Ok`. Where the
/// container is in a state from which the call makes no sense the answer is [`RuntimeError::Conflict`],
/// where it does not exist [`RuntimeError::NotFound`].
pub trait Runtime: fmt::Debug + Send + Sync {
    /// Which engine this is.
    fn kind(&self) -> RuntimeKind;

    /// What it isolates.
    fn isolation(&self) -> Isolation;

    /// What an operator should know about this engine on this machine (a host guard that could not be
    /// installed, a kernel without swap accounting); empty when all is as the profile wants it.
    fn warnings(&self) -> Vec<String>;

    /// Makes the container, not started. `Refused` for what the profile or the configuration does not
    /// allow, before the engine is called; `ImageMissing`; `Conflict` if the name exists.
    fn create<'a>(&'a self, spec: &'a ContainerSpec) -> Call<'a, ContainerRef>;

    /// Starts a created or stopped container, hands `secret` to the cell's standard input (exactly its 32
    /// bytes, then end of file) and says where the cell will listen. Readiness is the cell's own answer
    /// there, not this one. `Conflict` if it runs or is paused.
    fn start<'a>(&'a self, container: &'a ContainerRef, secret: &'a StartSecret) -> Call<'a, CellAddress>;

    /// Freezes all processes. `Ok` if paused already, `Conflict` unless running.
    fn pause<'a>(&'a self, container: &'a ContainerRef) -> Call<'a, ()>;

    /// Thaws them. `Ok` if running already, `Conflict` unless paused.
    fn unpause<'a>(&'a self, container: &'a ContainerRef) -> Call<'a, ()>;

    /// SIGTERM (after thawing), then SIGKILL when `grace` has passed; back when it has ended. `Ok` if
    /// it does not run.
    fn stop<'a>(&'a self, container: &'a ContainerRef, grace: Duration) -> Call<'a, ()>;

    /// SIGKILL, back when it has ended. `Ok` if it does not run.
    fn kill<'a>(&'a self, container: &'a ContainerRef) -> Call<'a, ()>;

    /// Ends and removes the container and its network, never its volume. `Ok` if it is not there.
    fn remove<'a>(&'a self, container: &'a ContainerRef) -> Call<'a, ()>;

    /// What it is doing now. Just after an unpause Docker 20.10 may say `Paused` for a few milliseconds more.
    fn inspect<'a>(&'a self, container: &'a ContainerRef) -> Call<'a, Observed>;

    /// All containers labelled as this node's, in the order of their names: a node that starts adopts,
    /// stops or removes each.
    fn list(&self) -> Call<'_, Vec<Observed>>;

    /// Tenants that have volumes on this machine, whether or not one of their containers is here.
    fn tenants_with_volumes(&self) -> Call<'_, Vec<TenantId>>;

    /// Erases all volumes of a tenant, for good. `Conflict` if a container of it is here: remove that first. `Ok` if
    /// there are none.
    fn erase_volumes(&self, tenant: TenantId) -> Call<'_, ()>;

    /// Erases the volume of one user, for good. `Conflict` if a container of theirs is here: remove that first. `Ok` if
    /// there is none.
    fn erase_volume(&self, tenant: TenantId, user: UserId) -> Call<'_, ()>;

    /// Starts a cell that runs nothing over the volume of a container that does not run, without a network, and hands
    /// `secret` to its standard input. `Conflict` while the container runs; an earlier such cell of it is ended.
    fn archive<'a>(
        &'a self,
        _spec: &'a ContainerSpec,
        _errand: ArchiveErrand,
        _secret: &'a StartSecret,
    ) -> Call<'a, ArchiveCell> {
        let why = "this engine knows no snapshots".to_owned();
        std::future::ready(Err(RuntimeError::Refused(why))).boxed()
    }

    /// Puts the volume that a cell of [`ArchiveErrand::Restore`] wrote in the place of the present one, in one step. That
    /// one is kept until [`Runtime::settle_volume`], another restore, or the node's next start.
    fn swap_volume(&self, _tenant: TenantId, _user: UserId) -> Call<'_, ()> {
        let why = "this engine knows no snapshots".to_owned();
        std::future::ready(Err(RuntimeError::Refused(why))).boxed()
    }

    /// Erases what a swap has left of the volume before.
    fn settle_volume(&self, _tenant: TenantId, _user: UserId) -> Call<'_, ()> {
        std::future::ready(Ok(())).boxed()
    }

    /// What of a container is not as `spec` and the profile have it, for people; none when all is well. `NotFound`.
    fn drift<'a>(&'a self, _spec: &'a ContainerSpec) -> Call<'a, Vec<String>> {
        std::future::ready(Ok(Vec::new())).boxed()
    }

    /// Brings back what guards containers from outside (a packet filter that somebody emptied), and looks again at what
    /// [`Runtime::warnings`] says. Asked every minute.
    fn look_after(&self) -> Call<'_, ()> {
        std::future::ready(Ok(())).boxed()
    }

    /// Through which its containers get out; none where they do not.
    fn outlet(&self) -> Option<Arc<Outlet>> {
        None
    }

    /// Where the container whose cell is at this address finds its egress proxy; none where it cannot reach one.
    fn door(&self, _cell: CellAddress) -> Option<Door> {
        None
    }

    /// Deaths from now on. Never ends, reconnects by itself; after [`RuntimeEvent::Resync`] the listener
    /// must `list` again, since deaths may have gone unseen. The first event is a `Resync`.
    fn events(&self) -> BoxStream<'static, RuntimeEvent>;
}
