//! How nodes become a cluster, as an operator does it: the first makes the authority and the keys, the others
//! join by a token that works once.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use crate::process::NodeProcess;

/// The operator's certificate and key in a folder, made with the cluster, and the operator listener.
pub struct Operator {
    credential: PathBuf,
    endpoint: String,
}

impl Operator {
    /// Runs `ocmt cluster …` as the operator, on a node's host.
    ///
    /// # Errors
    /// The tool refuses; the text is what it said.
    pub async fn run(&self, on: &NodeProcess, command: &[&str]) -> anyhow::Result<String> {
        let credential = self.credential.to_string_lossy();
        let common = ["--operator", &credential, "--endpoint", &self.endpoint];
        on.tool(&[&["cluster"], command, &common].concat()).await
    }
}

/// Forms a cluster of these nodes and starts them. `endpoint` is the operator listener of the first,
/// `names` the hosts in their certificates.
///
/// # Errors
/// A step fails; the text is what the tool said.
pub async fn form(
    nodes: &mut [NodeProcess],
    folder: &Path,
    names: &[String],
    endpoint: String,
) -> anyhow::Result<Operator> {
    let operator = Operator { credential: folder.join("operator"), endpoint };
    let (first, others) = nodes.split_first_mut().context("no nodes")?;
    let (first_name, other_names) = names.split_first().context("no names")?;
    let config = first.folder().join("ocmt.toml");
    first.tool(&["migrate", "--config", &config.to_string_lossy()]).await?;
    let (data, out) = (first.folder().join("data"), operator.credential.to_string_lossy().into_owned());
    let init = ["cluster", "init", "--data-dir", &data.to_string_lossy(), "--operator-out", &out];
    first.tool(&[&init[..], &["--name", first_name]].concat()).await?;
    first.start().await?;
    for (node, name) in others.iter_mut().zip(other_names) {
        let said = operator.run(first, &["invite"]).await?;
        let token = said.split_whitespace().find(|word| word.starts_with("ocmt")).context("no token")?;
        let file = folder.join("join-token");
        private(&file, token)?;
        let (data, file) = (node.folder().join("data"), file.to_string_lossy().into_owned());
        let join = ["cluster", "join", "--data-dir", &data.to_string_lossy(), "--token-file", &file];
        node.tool(&[&join[..], &["--name", name]].concat()).await?;
        node.start().await?;
    }
    Ok(operator)
}

fn private(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    Ok(file.write_all(text.as_bytes())?)
}
