//! The canary search: is anything that was marked to be found where the platform keeps things?

use anyhow::{Context as _, anyhow, bail};
use data_encoding::HEXLOWER;

use super::{Story, containers::Workload};
use crate::canary::{Marks, Place, search};

/// What was marked on its way in.
pub(super) struct Planted {
    all: Vec<(String, String)>,
    /// The vault's entries: name and value.
    pub(super) secrets: Vec<(String, String)>,
}

impl Planted {
    pub(super) fn new() -> Self {
        Self { all: Vec::new(), secrets: Vec::new() }
    }

    /// A text that begins with `words`, never seen before, to be looked for in the end.
    pub(super) fn plant(&mut self, name: &str, words: &str) -> String {
        let mark = format!("{words} {}", HEXLOWER.encode(&rand::random::<[u8; 8]>()));
        self.all.push((name.to_owned(), mark.clone()));
        mark
    }

    /// The value of an entry.
    pub(super) fn secret(&self, name: &str) -> anyhow::Result<&str> {
        let found = self.secrets.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).ok_or_else(|| anyhow!("there is no secret \"{name}\""))
    }
}

/// Looks in database, logs, mails, configuration, container metadata and the node's memory.
pub(super) async fn search_everywhere(story: &mut Story, workload: &Workload) -> anyhow::Result<()> {
    let Story { tell, stage, marks, .. } = story;
    tell.chapter("Did the platform keep anything it must not see?")?;
    let pid = stage.node()?.pid().context("the node has ended")?;
    let mut places = vec![Place::Tree(stage.node_folder()), Place::Process(pid)];
    let mut words = "database, keys, logs, mails and memory of the node";
    if let Some(docker) = &stage.docker {
        places.extend(docker.places(&workload.container).await?);
        words = "database, keys, logs, mails and memory of the node; all that Docker keeps";
    }
    let wanted = Marks::new(marks.all.iter().map(|(name, mark)| (name.as_str(), mark.as_bytes())))
        .map_err(|why| anyhow!(why))?;
    let count = marks.all.len();
    let report = tell
        .step(&format!("search: {words}"), async {
            tokio::task::spawn_blocking(move || search(&wanted, &places))
                .await?
                .context("a place could not be searched")
        })
        .await?;
    tell.detail(&format!(
        "{count} marks (secrets, conversation, passphrases; as they are, hex, base64) in {:.1} MiB",
        mib(report.bytes)
    ))?;
    if !report.findings.is_empty() {
        for finding in &report.findings {
            tell.detail(&finding.to_string())?;
        }
        bail!("{} marks were found where nothing may be", report.findings.len());
    }
    tell.detail("found: nothing")
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
