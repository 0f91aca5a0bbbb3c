//! The memory guard of a client: no core dump, and no look into its memory by another process of its user.
//!
//! A client holds the vault key and the passphrase for as long as a command runs. Without
//! `PR_SET_DUMPABLE=0` every program of the same user reads both out of `/proc/PID/mem`, and a crash
//! writes them to a disk. Who becomes root, or replaces the program, is not kept out by this.

use std::io;

use rustix::process::{DumpableBehavior, Resource, Rlimit};

/// Turns core dumps of this process, and of those that it starts, off.
///
/// # Errors
/// The kernel refuses.
pub fn without_core_dumps() -> io::Result<()> {
    Ok(rustix::process::setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?)
}

/// The same, and closes this process's memory to others of its user. Before anything secret is read.
///
/// # Errors
/// The kernel refuses, or does not show it afterwards: then no secret is to be read.
pub fn guard_memory() -> io::Result<()> {
    without_core_dumps()?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    match rustix::process::dumpable_behavior()? {
        DumpableBehavior::NotDumpable => Ok(()),
        _ => Err(io::Error::other("the kernel still calls the process dumpable")),
    }
}
