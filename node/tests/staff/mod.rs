//! A cluster of one node in this process, set up by the command line, and its operators.
#![allow(dead_code, missing_docs, unreachable_pub, reason = "each test file uses its part of it")]

use std::{
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use ocmt::{
    config::{Config, Mode, RuntimeKind},
    pki::OperatorFiles,
    server::Node,
    software::Software,
};
use tokio::{io::AsyncWriteExt as _, process::Command};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

pub struct Cluster {
    pub node: Node,
    folder: tempfile::TempDir,
}

impl Cluster {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (data, operator) = (folder.path().join("data"), folder.path().join("operator"));
        let args = ["cluster", "init", "--data-dir", text(&data), "--operator-out", text(&operator)];
        done(&ocmt(&args, None).await);
        Self::start_on(folder).await
    }

    /// On what is in `data` of the folder.
    pub async fn start_on(folder: tempfile::TempDir) -> Self {
        let data = folder.path().join("data");
        let mut config = Config::default();
        config.node.mode = Mode::Dev;
        config.node.data_dir = data;
        for listener in
            [&mut config.listen.client, &mut config.listen.operators, &mut config.listen.telemetry]
        {
            listener.set_port(0);
        }
        config.mail.spool = folder.path().join("mail");
        config.containers.runtime = RuntimeKind::Process;
        // no container is started here, so any program will do
        config.containers.cell = "/bin/true".into();
        Self { node: Box::pin(Node::start(&config, Software::this())).await.unwrap(), folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn endpoint(&self) -> &str {
        self.node.endpoints().operators.as_deref().unwrap()
    }

    /// `ocmt cluster …` as the operator with these files.
    pub async fn as_operator(&self, operator: &str, command: &[&str]) -> Output {
        let folder = self.path(operator);
        let whole =
            [&["cluster"], command, &["--operator", text(&folder), "--endpoint", self.endpoint(), "--json"]];
        ocmt(&whole.concat(), None).await
    }

    pub async fn invitation(&self) -> String {
        let made = done(&self.as_operator("operator", &["invite", "--lifetime", "10min"]).await);
        made["token"].as_str().unwrap().to_owned()
    }

    pub async fn join(&self, folder: &str, token: &str) -> Output {
        let folder = self.path(folder);
        ocmt(&["cluster", "join", "--data-dir", text(&folder), "--token-file", "-", "--json"], Some(token))
            .await
    }

    /// A connection that lasts, as this operator.
    pub async fn channel(&self, operator: &str) -> Channel {
        let files = OperatorFiles::load(&self.path(operator)).unwrap();
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&files.ca))
            .identity(Identity::from_pem(&files.certificate, files.key.as_bytes()));
        let endpoint = Endpoint::from_shared(self.endpoint().to_owned()).unwrap().tls_config(tls).unwrap();
        endpoint.connect().await.unwrap()
    }
}

pub async fn ocmt(args: &[&str], input: Option<&str>) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ocmt"))
        .args(args)
        .env_remove("OCMT_JOIN_TOKEN")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.unwrap_or_default().as_bytes()).await.unwrap();
    drop(stdin);
    child.wait_with_output().await.unwrap()
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// What a command that must succeed printed.
pub fn done(output: &Output) -> serde_json::Value {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}
