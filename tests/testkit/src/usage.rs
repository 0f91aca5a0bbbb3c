//! What a process has used: memory at its peak, and processor time.

use std::{fs, time::Duration};

use anyhow::Context as _;

/// Ticks of `/proc/PID/stat` in a second: fixed on Linux for user space.
const TICKS: u64 = 100;

/// Of one process.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// Resident memory now, in KiB.
    pub now_kib: u64,
    /// The most since [`forget_peak`], in KiB.
    pub peak_kib: u64,
    /// Processor time since it began.
    pub cpu: Duration,
}

/// Looks at a process.
///
/// # Errors
/// It is gone.
pub fn of(pid: u32) -> anyhow::Result<Usage> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok())
            .with_context(|| format!("no {name}"))
    };
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // behind the program's name, which may hold anything but ends with the last parenthesis
    let rest = stat.rsplit_once(')').context("no stat")?.1;
    let number = |at: usize| rest.split_whitespace().nth(at).and_then(|text| text.parse::<u64>().ok());
    let ticks = number(11).zip(number(12)).map(|(user, system)| user + system).context("no times")?;
    Ok(Usage {
        now_kib: field("VmRSS:")?,
        peak_kib: field("VmHWM:")?,
        cpu: Duration::from_millis(ticks * 1000 / TICKS),
    })
}

/// From now on the peak is counted anew.
///
/// # Errors
/// It is gone, or another user's.
pub fn forget_peak(pid: u32) -> anyhow::Result<()> {
    Ok(fs::write(format!("/proc/{pid}/clear_refs"), "5")?)
}
