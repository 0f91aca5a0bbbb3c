//! What a workload can read of another process of the same uid, by `/proc` alone, as a debugger or
//! a malicious package would. Run by the memory test against the cell, with and without its guard.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::FileExt as _,
    process::ExitCode,
};

use anyhow::Context as _;

/// Exit code when something was read.
pub(crate) const GOT_IN: u8 = 3;
/// Bytes read at once; also the most a mark may straddle two reads by.
const CHUNK: usize = 1 << 20;

/// Tries `environ`, `auxv` and `mem` of `pid`, and looks for `mark` (hex) in what it gets.
pub(crate) fn run(pid: &str, mark: Option<&str>) -> anyhow::Result<ExitCode> {
    let pid: u32 = pid.parse().context("PID is not a number")?;
    let mark = mark
        .map(|hex| data_encoding::HEXLOWER_PERMISSIVE.decode(hex.as_bytes()))
        .transpose()
        .context("the mark is not hex")?;
    let mut got_in = false;
    for name in ["environ", "auxv", "syscall"] {
        let outcome =
            fs::read(format!("/proc/{pid}/{name}")).map(|bytes| format!("{} bytes read", bytes.len()));
        got_in |= tell(name, outcome)?;
    }
    got_in |= tell("mem", read_memory(pid, mark.as_deref()).map(|found| found.to_string()))?;
    Ok(if got_in { ExitCode::from(GOT_IN) } else { ExitCode::SUCCESS })
}

pub(crate) fn tell(name: &str, outcome: io::Result<String>) -> io::Result<bool> {
    let got_in = outcome.is_ok();
    writeln!(io::stdout(), "{name}: {}", outcome.unwrap_or_else(|error| format!("refused: {error}")))?;
    Ok(got_in)
}

struct Found {
    bytes: usize,
    regions: usize,
    marks: usize,
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} bytes of {} regions read, marked bytes found {} times",
            self.bytes, self.regions, self.marks
        )
    }
}

fn read_memory(pid: u32, mark: Option<&[u8]>) -> io::Result<Found> {
    let memory = File::open(format!("/proc/{pid}/mem"))?;
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let mut found = Found { bytes: 0, regions: 0, marks: 0 };
    let mut chunk = vec![0; CHUNK];
    for (start, end) in maps.lines().filter_map(writable_region) {
        let mut at = start;
        let before = found.bytes;
        while at < end {
            let want = usize::try_from(end - at).unwrap_or(CHUNK).min(CHUNK);
            let Ok(len @ 1..) = memory.read_at(&mut chunk[..want], at) else {
                break;
            };
            found.bytes += len;
            if let Some(mark) = mark.filter(|mark| !mark.is_empty()) {
                found.marks += chunk[..len].windows(mark.len()).filter(|window| *window == mark).count();
            }
            at += len as u64;
        }
        found.regions += usize::from(found.bytes > before);
    }
    if found.bytes == 0 {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "opened, but not one byte could be read",
        ));
    }
    Ok(found)
}

/// Start and end of a readable and writable region in a line of `/proc/PID/maps`: heap and stacks,
/// where secrets are.
fn writable_region(line: &str) -> Option<(u64, u64)> {
    let (range, rest) = line.split_once(' ')?;
    if !rest.starts_with("rw") {
        return None;
    }
    let (start, end) = range.split_once('-')?;
    Some((u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?))
}
