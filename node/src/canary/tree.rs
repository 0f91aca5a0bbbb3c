//! Searches files.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::Path,
};

use super::{Marks, Report, SearchError};

const CHUNK: usize = 1 << 20;

pub(super) fn search(marks: &Marks, path: &Path, report: &mut Report) -> Result<(), SearchError> {
    let at = |source: io::Error| SearchError { place: path.display().to_string(), source };
    let kind = fs::symlink_metadata(path).map_err(at)?.file_type();
    if kind.is_dir() {
        for entry in fs::read_dir(path).map_err(at)? {
            let inner = entry.map_err(at)?.path();
            match search(marks, &inner, report) {
                // what is removed while one looks is not kept by anybody
                Err(error) if error.source.kind() == io::ErrorKind::NotFound => {}
                other => other?,
            }
        }
        return Ok(());
    }
    if kind.is_file() { file(marks, path, report).map_err(at) } else { Ok(()) }
}

fn file(marks: &Marks, path: &Path, report: &mut Report) -> io::Result<()> {
    let name = path.display().to_string();
    marks.scan(path.as_os_str().as_encoded_bytes(), &format!("the name of {name}"), report);
    let mut file = File::open(path)?;
    let mut buffer = Vec::with_capacity(CHUNK + marks.overlap());
    loop {
        let kept = buffer.len();
        file.by_ref().take(CHUNK as u64).read_to_end(&mut buffer)?;
        if buffer.len() == kept {
            return Ok(());
        }
        marks.scan(&buffer, &name, report);
        buffer.drain(..buffer.len().saturating_sub(marks.overlap()));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_mark_across_two_chunks_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let mark = b"canary-across-a-border";
        for at in [CHUNK - mark.len(), CHUNK - 7, CHUNK, 2 * CHUNK - 1] {
            let mut content = vec![b'.'; 3 * CHUNK];
            content[at..at + mark.len()].copy_from_slice(mark);
            fs::write(dir.path().join("file"), &content).unwrap();
            let mut report = Report::default();
            search(&Marks::new([("m", &mark[..])]).unwrap(), dir.path(), &mut report).unwrap();
            assert!(!report.findings.is_empty() && report.bytes >= content.len() as u64, "{at}");
        }
    }
}
