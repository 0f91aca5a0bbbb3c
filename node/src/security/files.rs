//! Who may read and change what lies on the disk, and mending it.
//!
//! Only whoever owns the data folder changes modes: root would change, for the node's user, what that user could lead it to.
//! No link is followed where something is changed.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Mode, OFlags, fchmod, open},
    process::geteuid,
};
use serde::{Deserialize, Serialize};

use super::{Finding, Report, Severity};
use crate::config::Config;

/// Files that are looked at; a folder with more is said to be not checked.
const MOST: usize = 100_000;
/// What others may do that they must not.
const OTHERS: u32 = 0o077;
/// What others may do to a file that they must not.
const CHANGE: u32 = 0o022;

/// A change of one mode, and what it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fix {
    /// Of what.
    pub path: PathBuf,
    /// Before.
    pub from: u32,
    /// After.
    pub to: u32,
}

/// Looks at the data folder, at the files with secrets, and at the configuration itself.
pub fn check(config: &Config, file: Option<&Path>, report: &mut Report) {
    for fix in wanting(config, report) {
        let is_folder = fix.path.is_dir();
        let (what, why) = if is_folder {
            ("others may look into this folder", "keys and the database are found there")
        } else {
            ("others may read or change this file", "it holds a key, a password or the state of tenants")
        };
        let mend = format!("chmod {:04o} {}", fix.to, fix.path.display());
        let what = format!("{what} (mode {:04o})", fix.from);
        let place = fix.path.display().to_string();
        report.push(Finding::new("files.mode", Severity::High, place, what, why, mend).fixable());
    }
    if let Some(file) = file {
        writable(file, report);
    }
    report.looked_at("files");
}

/// The modes that are too wide.
pub fn wanting(config: &Config, report: &mut Report) -> Vec<Fix> {
    let mut found = Vec::new();
    let top = &config.node.data_dir;
    match fs::symlink_metadata(top) {
        Ok(data) if data.is_dir() => walk(top, &data, &volumes(config), &mut found, report),
        Ok(_) => report.could_not("files", format!("{} is no folder", top.display())),
        Err(error) => report.could_not("files", format!("{}: {error}", top.display())),
    }
    for secret in secrets(config) {
        // what a link leads to is looked at, and left to people
        let behind_a_link = fs::symlink_metadata(secret).is_ok_and(|it| it.is_symlink());
        match fs::metadata(secret) {
            Ok(it) if it.mode() & OTHERS == 0 => {}
            Ok(_) if behind_a_link => report.push(Finding::new(
                "files.mode",
                Severity::High,
                secret.display().to_string(),
                "leads to a file that others may read or change",
                "it holds a key or a password",
                "close the file that the link leads to",
            )),
            Ok(it) => found.push(fix(secret, &it)),
            Err(error) => report.could_not("files", format!("{}: {error}", secret.display())),
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found.dedup();
    found
}

/// Files that the configuration names and that hold a secret.
fn secrets(config: &Config) -> impl Iterator<Item = &Path> {
    [
        &config.tls.key,
        &config.store.password_file,
        &config.store.cluster_password_file,
        &config.store.migrate_password_file,
        &config.redis.password_file,
        &config.mail.smtp_password_file,
        &config.audit.witness_key_file,
        &config.snapshots.s3_secret_key_file,
    ]
    .into_iter()
    .map(PathBuf::as_path)
    .filter(|path| !path.as_os_str().is_empty())
}

/// Containers' own files, which belong to containers' users.
fn volumes(config: &Config) -> PathBuf {
    let named = &config.containers.data_dir;
    let folder =
        if named.as_os_str().is_empty() { config.node.data_dir.join("volumes") } else { named.clone() };
    folder.canonicalize().unwrap_or(folder)
}

fn walk(top: &Path, data: &fs::Metadata, volumes: &Path, found: &mut Vec<Fix>, report: &mut Report) {
    // behind a folder that nobody else enters, what can be read is no matter; a key is one all the same
    let closed = data.mode() & OTHERS == 0;
    let mut folders = vec![(top.to_owned(), data.clone())];
    let mut seen = 0;
    while let Some((folder, meta)) = folders.pop() {
        if meta.mode() & OTHERS != 0 {
            found.push(fix(&folder, &meta));
        }
        if meta.uid() != data.uid() {
            foreign(&folder, report);
        }
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) => {
                report.could_not("files", format!("{}: {error}", folder.display()));
                continue;
            }
        };
        for entry in entries.filter_map(Result::ok) {
            seen += 1;
            if seen > MOST {
                report.could_not("files", format!("more than {MOST} files in {}", top.display()));
                return;
            }
            let (path, Ok(meta)) = (entry.path(), entry.metadata()) else { continue };
            if meta.is_dir() {
                if path.canonicalize().is_ok_and(|path| path != volumes) {
                    folders.push((path, meta));
                }
            } else if meta.is_file()
                && meta.mode() & OTHERS != 0
                && (!closed && !is_public(&path) || is_key(&path))
            {
                found.push(fix(&path, &meta));
            }
        }
    }
}

/// Certificates and where the node serves are for everybody.
fn is_public(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "pem") || path.ends_with(crate::local::ENDPOINT_FILE)
}

fn is_key(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.ends_with(".key") || name.contains("sealing") || name.contains("password")
}

fn foreign(path: &Path, report: &mut Report) {
    report.push(Finding::new(
        "files.owner",
        Severity::High,
        path.display().to_string(),
        "belongs to another user than the data folder",
        "that user reads and changes what is in it",
        "chown it to the node's user",
    ));
}

fn writable(file: &Path, report: &mut Report) {
    let mut places = vec![file.to_owned()];
    let real = file.canonicalize().unwrap_or_else(|_| file.to_owned());
    places.extend(real.ancestors().map(Path::to_owned));
    for place in places {
        match fs::metadata(&place) {
            // in a folder like /tmp nobody replaces what is another's
            Ok(it) if it.mode() & CHANGE != 0 && !(it.is_dir() && it.mode() & 0o1000 != 0) => {
                report.push(Finding::new(
                    "files.configuration",
                    Severity::Critical,
                    place.display().to_string(),
                    format!("others may change it (mode {:04o})", it.mode() & 0o7777),
                    "whoever changes it says which database and which engine the node believes",
                    format!("chmod go-w {}", place.display()),
                ));
            }
            Ok(it) if it.is_file() && !is_trusted(it.uid()) => {
                report.push(Finding::new(
                    "files.configuration",
                    Severity::High,
                    place.display().to_string(),
                    "belongs neither to root nor to whoever asks",
                    "its owner says which database and which engine the node believes",
                    "chown it to root",
                ));
            }
            Ok(_) => {}
            Err(error) => report.could_not("files", format!("{}: {error}", place.display())),
        }
    }
}

/// Root, or whoever asks.
fn is_trusted(user: u32) -> bool {
    [0, geteuid().as_raw()].contains(&user)
}

/// Refuses everybody but the owner of the data folder.
pub fn may_change(config: &Config) -> Result<(), String> {
    let top = &config.node.data_dir;
    let owner = fs::metadata(top).map_err(|error| format!("{}: {error}", top.display()))?.uid();
    if owner == geteuid().as_raw() {
        return Ok(());
    }
    Err(format!("{} belongs to user {owner}: run this as that user", top.display()))
}

/// Whether it is a change that [`wanting`] could have wished for: of something in the data folder or a file that the
/// configuration names, and of nothing but what others may do.
pub fn is_ours(config: &Config, fix: &Fix) -> bool {
    let plain = fix.path.components().all(|part| !matches!(part, std::path::Component::ParentDir));
    let known = fix.path.starts_with(&config.node.data_dir) || secrets(config).any(|file| file == fix.path);
    plain && known && (fix.from ^ fix.to) & !OTHERS == 0
}

fn fix(path: &Path, meta: &fs::Metadata) -> Fix {
    let from = meta.mode() & 0o7777;
    Fix { path: path.to_owned(), from, to: from & !OTHERS }
}

/// Changes the modes that are still what they were; says which.
///
/// # Errors
/// The first that could not be changed, after those before it were.
pub fn apply(fixes: &[Fix]) -> io::Result<Vec<Fix>> {
    let mut done = Vec::new();
    for fix in fixes {
        // not through a link, and not waiting for the other end of a pipe
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = fs::File::from(open(&fix.path, flags, Mode::empty())?);
        if file.metadata()?.mode() & 0o7777 != fix.from {
            continue;
        }
        fchmod(&file, Mode::from_raw_mode(fix.to))?;
        done.push(fix.clone());
    }
    Ok(done)
}

/// The same the other way round.
pub fn undo(fixes: &[Fix]) -> io::Result<Vec<Fix>> {
    let back: Vec<_> =
        fixes.iter().map(|fix| Fix { path: fix.path.clone(), from: fix.to, to: fix.from }).collect();
    apply(&back)
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
