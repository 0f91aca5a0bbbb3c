//! Searches the memory of a process: every readable page, as a core dump would hold it.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt as _,
};

use super::{Marks, Report, SearchError};

const CHUNK: usize = 4 << 20;

pub(super) fn search(marks: &Marks, pid: u32, report: &mut Report) -> Result<(), SearchError> {
    let place = format!("the memory of process {pid}");
    let at = |source: io::Error| SearchError { place: place.clone(), source };
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).map_err(at)?;
    let memory = File::open(format!("/proc/{pid}/mem")).map_err(at)?;
    let before = report.bytes;
    for (start, end) in maps.lines().filter_map(readable) {
        region(marks, &memory, start, end, &place, report);
    }
    if report.bytes == before {
        return Err(at(io::Error::new(io::ErrorKind::PermissionDenied, "no page could be read")));
    }
    Ok(())
}

/// A line of /proc/PID/maps: `start-end perms …`. What the kernel maps itself cannot be read.
fn readable(line: &str) -> Option<(u64, u64)> {
    let (range, rest) = line.split_once(' ')?;
    if !rest.starts_with('r') || line.ends_with("[vvar]") || line.ends_with("[vsyscall]") {
        return None;
    }
    let (start, end) = range.split_once('-')?;
    Some((u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?))
}

fn region(marks: &Marks, memory: &File, start: u64, end: u64, place: &str, report: &mut Report) {
    let overlap = marks.overlap() as u64;
    let mut at = start;
    while at < end {
        let length = usize::try_from(end - at).unwrap_or(CHUNK).min(CHUNK);
        let mut chunk = vec![0; length];
        match memory.read_at(&mut chunk, at) {
            Ok(read) if read > 0 => marks.scan(chunk.get(..read).unwrap_or_default(), place, report),
            // pages without backing (guard pages, a device): nothing to find there
            _ => {}
        }
        if at + length as u64 >= end {
            return;
        }
        at += (length as u64).saturating_sub(overlap).max(1);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_mark_in_the_environment_of_a_process_is_found_in_its_memory() {
        let mark = "canary-in-the-environment-of-a-child";
        let mut child =
            Command::new("/bin/sleep").arg("30").env("MARK", mark).stdout(Stdio::null()).spawn().unwrap();
        let mut report = Report::default();
        let outcome = search(&Marks::new([("m", mark.as_bytes())]).unwrap(), child.id(), &mut report);
        child.kill().unwrap();
        child.wait().unwrap();
        outcome.unwrap();
        assert!(!report.findings.is_empty());
    }
}
