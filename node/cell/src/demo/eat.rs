//! Memory, taken and touched.

use std::{io::Write as _, process::ExitCode};

use anyhow::Context as _;

/// Takes so many MiB, says so, and gives them back.
pub(crate) fn run(mib: &str) -> anyhow::Result<ExitCode> {
    let mib: usize = mib.parse().context("MIB is not a number")?;
    let eaten: Vec<Vec<u8>> =
        (0..mib).map(|n| vec![u8::try_from(n % 251).unwrap_or(0) + 1; 1 << 20]).collect();
    // read, so that none of it is optimised away
    let sum: u64 = eaten.iter().filter_map(|piece| piece.last()).map(|byte| u64::from(*byte)).sum();
    writeln!(std::io::stdout(), "{mib} MiB taken, {sum}")?;
    Ok(ExitCode::SUCCESS)
}
