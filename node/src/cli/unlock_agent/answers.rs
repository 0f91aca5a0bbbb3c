//! When containers were answered: a file beside the rules, so that a restart is no way past them.
//!
//! An answer is written down before it is given. One agent at a time has the file.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail};
use ocmt_types::{ContainerId, Timestamp};
use rustix::fs::{FlockOperation, flock};

/// Bytes of the file.
const MOST: u64 = 4 << 20;

/// The answers that were given.
pub(super) struct Answers {
    path: PathBuf,
    /// Held as long as this agent lives.
    _lock: File,
    given: BTreeMap<ContainerId, Vec<Timestamp>>,
}

impl Answers {
    /// Takes the file, which is made if it is not there.
    pub(super) fn take(rules: &Path) -> anyhow::Result<Self> {
        let path = beside(rules, "answers");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(beside(rules, "lock"))
            .context("cannot write beside the rules")?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            bail!("another unlock agent works by these rules already");
        }
        let given = match File::open(&path) {
            Ok(file) => {
                let mut text = String::new();
                file.take(MOST).read_to_string(&mut text).context("cannot read the answers given so far")?;
                serde_json::from_str(&text)
                    .context("the file of the answers given so far is damaged: look at it, then remove it")?
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error).context("cannot read the answers given so far"),
        };
        Ok(Self { path, _lock: lock, given })
    }

    /// Those of a container.
    pub(super) fn of(&self, container: ContainerId) -> &[Timestamp] {
        self.given.get(&container).map(Vec::as_slice).unwrap_or_default()
    }

    /// Writes down that one is given now; those that are `kept_for` no longer are dropped.
    pub(super) fn give(
        &mut self,
        container: ContainerId,
        now: Timestamp,
        kept_for: Duration,
    ) -> anyhow::Result<()> {
        self.given.entry(container).or_default().push(now);
        for answers in self.given.values_mut() {
            answers.retain(|at| now.since(*at) < kept_for);
        }
        let new = self.path.with_extension("answers.new");
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&new)?;
        file.write_all(&serde_json::to_vec(&self.given)?)?;
        file.sync_all()?;
        fs::rename(&new, &self.path).context("cannot write the answer down")?;
        // or a power cut brings the file of before back
        File::open(
            self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")),
        )?
        .sync_all()?;
        Ok(())
    }
}

fn beside(rules: &Path, extension: &str) -> PathBuf {
    let mut name = rules.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(extension);
    rules.with_file_name(name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_was_given_is_known_after_a_restart_and_one_agent_has_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let rules = folder.path().join("rules.toml");
        let container = "0b8c2a54-6f0e-4a53-9d3c-0b8c2a546f0e".parse().unwrap();
        let (hour, now) = (Duration::from_secs(3600), Timestamp(1_800_000_000_000));
        let mut answers = Answers::take(&rules).unwrap();
        answers.give(container, now, hour).unwrap();
        assert!(Answers::take(&rules).is_err(), "two at once");
        drop(answers);
        let mut answers = Answers::take(&rules).unwrap();
        assert_eq!(answers.of(container), [now]);
        answers.give(container, now + hour, hour).unwrap();
        assert_eq!(answers.of(container), [now + hour]);
        drop(answers);
        fs::write(folder.path().join("rules.toml.answers"), "{").unwrap();
        assert!(Answers::take(&rules).is_err(), "what is damaged is not taken for nothing");
    }
}
