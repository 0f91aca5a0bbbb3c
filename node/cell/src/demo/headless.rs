//! A process whose first thread has ended, as of a program whose `main` calls `pthread_exit`; another goes on.

use std::{fs, process::ExitCode, thread};

use rustix::thread::{SecureComputingMode, set_secure_computing_mode};

/// What is written at once.
const PIECE: usize = 4 << 20;

/// Writes into `file` without pause, until it is killed.
pub(crate) fn run(file: &str) -> anyhow::Result<ExitCode> {
    let file = file.to_owned();
    let writer = thread::spawn(move || {
        let piece = vec![7; PIECE];
        loop {
            // its folder may go before it does
            let _ = fs::write(&file, &piece);
        }
    });
    // from here on this thread may read, write and exit: the kernel ends it at any other call, and none of the others
    set_secure_computing_mode(SecureComputingMode::Strict)?;
    let _ = writer.join();
    Ok(ExitCode::FAILURE)
}
