//! The memory guard: makes the cell's memory unreadable to the workload, which shares its uid.
//!
//! Without `PR_SET_DUMPABLE=0` a process of the same uid opens `/proc/PID/mem` of the cell and
//! reads every key in it (tried: `tests/memory_attack.rs`). It comes first, before any secret is
//! read. Core dumps are off and no process below the cell gains privileges.

use std::io;

use rustix::process::{DumpableBehavior, Resource, Rlimit};

use crate::CellError;

/// Guards this process. Called first of all, on the first thread, before any other thread starts.
///
/// # Errors
/// [`CellError::Guard`] if the kernel refuses any part, or does not show it afterwards: then the
/// cell must not take a secret.
pub fn guard_memory() -> Result<(), CellError> {
    let guard = |errno: rustix::io::Errno| CellError::Guard(io::Error::from(errno));
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(guard)?;
    rustix::process::setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })
        .map_err(guard)?;
    rustix::thread::set_no_new_privs(true).map_err(guard)?;
    match rustix::process::dumpable_behavior().map_err(guard)? {
        DumpableBehavior::NotDumpable => Ok(()),
        _ => Err(CellError::Guard(io::Error::other("the kernel still calls the process dumpable"))),
    }
}

/// Makes orphans below the cell its children, so that it can reap them and end them on lock.
/// PID 1 has them already; in the `process` runtime the cell is a subreaper.
///
/// # Errors
/// [`CellError::Guard`] if the kernel refuses.
pub fn adopt_orphans() -> Result<(), CellError> {
    if rustix::process::getpid().is_init() {
        return Ok(());
    }
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(|errno| CellError::Guard(errno.into()))
}
