//! The running node, from outside: what its listeners answer to somebody who has nothing.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use rustls::{ClientConfig, RootCertStore, crypto::ring, version};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{Finding, Report, Severity, is_for_real};
use crate::{
    config::Config,
    local::{ENDPOINT_FILE, Endpoints},
    pki::client_believing,
};

/// Of a connection, and of an answer on it.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most of an answer that is read.
const MOST: u64 = 64 << 10;

/// What every answer has to carry, beside what it has to say.
const HEADERS: [(&str, &str); 6] = [
    ("strict-transport-security", "max-age="),
    ("content-security-policy", "default-src 'none'"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "deny"),
    ("referrer-policy", ""),
    ("cache-control", "no-store"),
];

/// Asks the node that serves from this configuration's data folder.
pub async fn check(config: &Config, report: &mut Report) {
    let (client, telemetry) = match addresses(config) {
        Ok(addresses) => addresses,
        Err(why) => return report.could_not("live", why),
    };
    let trust = match trust(config) {
        Ok(trust) => trust,
        Err(why) => return report.could_not("live.tls", why),
    };
    let name = server_name(config, client);
    let probe = Probe { address: client, name, trust };
    if let Err(why) = probe.answers(config, report).await {
        report.could_not("live", why);
    }
    if let Err(why) = probe.old_tls(report).await {
        report.could_not("live.tls", why);
    }
    in_clear(client, report).await;
    metrics((config.listen.telemetry, telemetry), report).await;
}

/// Where clients and watchers are served, as the node wrote it down.
fn addresses(config: &Config) -> Result<(SocketAddr, SocketAddr), String> {
    let file = config.node.data_dir.join(ENDPOINT_FILE);
    let text =
        std::fs::read(&file).map_err(|error| format!("{}: {error}: does the node run?", file.display()))?;
    let said: Endpoints =
        serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", file.display()))?;
    let port = |url: &str| url.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    let of = |listen: SocketAddr, url: &str| {
        // a public name may lead elsewhere: this node is asked where it listens
        let port = if listen.port() == 0 { port(url).unwrap_or(0) } else { listen.port() };
        let ip = match listen.ip() {
            ip if ip.is_unspecified() && ip.is_ipv4() => std::net::Ipv4Addr::LOCALHOST.into(),
            ip if ip.is_unspecified() => std::net::Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        SocketAddr::new(ip, port)
    };
    Ok((of(config.listen.client, &said.client), of(config.listen.telemetry, &said.telemetry)))
}

/// Whom to believe: the cluster's authority, or exactly the certificate that the configuration gives.
#[derive(Clone)]
enum Trust {
    Authority(RootCertStore),
    Leaf(CertificateDer<'static>),
}

fn trust(config: &Config) -> Result<Trust, String> {
    let given = &config.tls.certificate;
    if !given.as_os_str().is_empty() {
        let leaf =
            CertificateDer::from_pem_file(given).map_err(|error| format!("{}: {error}", given.display()))?;
        return Ok(Trust::Leaf(leaf));
    }
    let file = config.node.data_dir.join("pki/ca.pem");
    let mut roots = RootCertStore::empty();
    let all = CertificateDer::pem_file_iter(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    roots.add_parsable_certificates(all.filter_map(Result::ok));
    Ok(Trust::Authority(roots))
}

/// What people call the node, where its certificate may be for that name alone.
fn server_name(config: &Config, address: SocketAddr) -> ServerName<'static> {
    let url = config.listen.public_url.strip_prefix("https://").unwrap_or_default();
    let host = url.split([':', '/']).next().unwrap_or_default();
    let named = (!config.tls.certificate.as_os_str().is_empty() && !host.is_empty())
        .then(|| ServerName::try_from(host.to_owned()).ok())
        .flatten();
    named.unwrap_or_else(|| ServerName::from(address.ip()))
}

struct Probe {
    address: SocketAddr,
    name: ServerName<'static>,
    trust: Trust,
}

impl Probe {
    async fn connect(
        &self,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> Result<TlsStream<TcpStream>, String> {
        let client = match &self.trust {
            Trust::Authority(roots) => {
                ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
                    .with_protocol_versions(versions)
                    .map(|client| client.with_root_certificates(roots.clone()).with_no_client_auth())
            }
            Trust::Leaf(leaf) => client_believing(leaf.clone(), versions),
        };
        let mut client = client.map_err(|error| error.to_string())?;
        client.alpn_protocols = vec![b"http/1.1".to_vec()];
        let tcp = dial(self.address).await?;
        let name = self.name.clone();
        let shaken = timeout(PATIENCE, TlsConnector::from(Arc::new(client)).connect(name, tcp)).await;
        shaken.map_err(|_| "no handshake in time".to_owned())?.map_err(|error| error.to_string())
    }

    async fn ask(&self, request: &str) -> Result<String, String> {
        say(self.connect(&[&version::TLS13]).await?, request).await
    }

    async fn answers(&self, config: &Config, report: &mut Report) -> Result<(), String> {
        let host = self.address;
        let page = self.ask(&format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")).await?;
        let place = format!("https://{host}/");
        for (name, says) in HEADERS {
            let header = header(&page, name);
            if !header.is_some_and(|value| value.to_ascii_lowercase().contains(says)) {
                report.push(Finding::new(
                    "live.headers",
                    Severity::High,
                    place.clone(),
                    format!("answers without `{name}: {says}`"),
                    "browsers are not told what they must not do",
                    "look for a proxy that takes headers away; the node always says it",
                ));
            }
        }
        if let Some(server) = header(&page, "server") {
            report.push(Finding::new(
                "live.server",
                Severity::Low,
                place.clone(),
                format!("names its software: {server}"),
                "whoever looks for a version finds it",
                "take the header away in the proxy",
            ));
        }
        if header(&page, "ratelimit").is_none() && header(&page, "ratelimit-policy").is_none() {
            // a page for strangers is counted by nobody; what makes a session is
            self.limits(report).await?;
        }
        let paths = [
            ("/metrics", "metrics"),
            ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "reflection"),
        ];
        for (path, what) in paths {
            let ask = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
            let answer = self.ask(&ask).await?;
            let served = answer.starts_with("HTTP/1.1 200") && header(&answer, "grpc-status") != Some("12");
            if served && is_for_real(config) {
                report.push(Finding::new(
                    "live.insides",
                    Severity::Medium,
                    format!("https://{host}{path}"),
                    format!("{what} are served to strangers"),
                    "it describes the system to whoever attacks it",
                    "run the node in production mode",
                ));
            }
        }
        for rule in ["live.headers", "live.server", "live.limits", "live.insides"] {
            report.looked_at(rule);
        }
        Ok(())
    }

    async fn limits(&self, report: &mut Report) -> Result<(), String> {
        let host = self.address;
        let form = "email=x&csrf=x";
        let answer = self
            .ask(&format!(
                "POST /auth/link HTTP/1.1\r\nhost: {host}\r\norigin: https://{host}\r\nsec-fetch-site: same-origin\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{form}",
                form.len()
            ))
            .await?;
        if answer.starts_with("HTTP/1.1 503") {
            report.could_not("live.limits", "nobody counts limits now: does Redis answer?");
        } else if header(&answer, "ratelimit").is_none() {
            report.push(Finding::new(
                "live.limits",
                Severity::High,
                format!("https://{host}/auth/link"),
                "sign-in is not counted",
                "links, codes and invitations may be tried without end",
                "look for a node of an older version, or a proxy that takes headers away",
            ));
        }
        Ok(())
    }

    /// A handshake of TLS 1.2 has to fail.
    async fn old_tls(&self, report: &mut Report) -> Result<(), String> {
        // first that there is anybody to refuse it
        self.connect(&[&version::TLS13]).await?;
        if self.old_is_taken().await? {
            report.push(Finding::new(
                "live.tls",
                Severity::High,
                self.address.to_string(),
                "takes TLS 1.2",
                "its ciphers and renegotiation are what attacks were found for",
                "look for a proxy in front of the node that ends TLS, and set it to 1.3",
            ));
        }
        report.looked_at("live.tls");
        Ok(())
    }

    /// Says a ClientHello of TLS 1.2 and looks for a ServerHello.
    async fn old_is_taken(&self) -> Result<bool, String> {
        let mut tcp = dial(self.address).await?;
        let sent = timeout(PATIENCE, tcp.write_all(&hello_of_1_2())).await;
        sent.map_err(|_| "no time".to_owned())?.map_err(|error| error.to_string())?;
        let mut head = [0; 6];
        match timeout(PATIENCE, tcp.read_exact(&mut head)).await {
            // a handshake record with a ServerHello
            Ok(Ok(_)) => Ok(head[0] == 22 && head[5] == 2),
            _ => Ok(false),
        }
    }
}

/// RFC 5246, 7.4.1.2: two suites with ECDHE and an extension for curves and signatures each.
fn hello_of_1_2() -> Vec<u8> {
    let extensions: [&[u8]; 3] = [
        // supported groups: x25519, secp256r1
        &[0, 10, 0, 6, 0, 4, 0, 29, 0, 23],
        // signatures: ecdsa_secp256r1_sha256, ed25519, rsa_pss_rsae_sha256
        &[0, 13, 0, 8, 0, 6, 4, 3, 8, 7, 8, 4],
        // point formats
        &[0, 11, 0, 2, 1, 0],
    ];
    let extensions = extensions.concat();
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.push(0);
    // ECDHE with ECDSA and RSA, AES-128-GCM
    body.extend([0, 4, 0xc0, 0x2b, 0xc0, 0x2f, 1, 0]);
    body.extend(u16::try_from(extensions.len()).unwrap_or(0).to_be_bytes());
    body.extend(extensions);
    let length = u16::try_from(body.len()).unwrap_or(0);
    let mut record = vec![22, 3, 1];
    record.extend((length + 4).to_be_bytes());
    record.extend([1, 0]);
    record.extend(length.to_be_bytes());
    record.extend(body);
    record
}

/// Nothing is answered in clear where TLS is spoken.
async fn in_clear(address: SocketAddr, report: &mut Report) {
    let asked =
        async { say(dial(address).await?, &format!("GET / HTTP/1.1\r\nhost: {address}\r\n\r\n")).await };
    if asked.await.is_ok_and(|answer| answer.starts_with("HTTP/")) {
        report.push(Finding::new(
            "live.clear",
            Severity::Critical,
            address.to_string(),
            "answers HTTP in clear",
            "tokens are read on the way",
            "reach clients over TLS alone",
        ));
    }
    report.looked_at("live.clear");
}

/// Metrics are for this machine: where they are listened for says it, not where this program asks.
async fn metrics((listen, address): (SocketAddr, SocketAddr), report: &mut Report) {
    if !listen.ip().is_loopback() {
        report.push(Finding::new(
            "live.telemetry",
            Severity::Medium,
            listen.to_string(),
            "tells of itself beyond this machine",
            "rates and states help whoever attacks",
            "bind listen.telemetry to loopback",
        ));
    }
    let asked = async {
        let ask = format!("GET /metrics HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        say(dial(address).await?, &ask).await
    };
    match asked.await {
        Ok(answer) if answer.starts_with("HTTP/1.1 200") => report.looked_at("live.telemetry"),
        Ok(_) => report.could_not("live.telemetry", "the node is between two lives"),
        Err(why) => report.could_not("live.telemetry", why),
    }
}

/// A connection.
pub(super) async fn dial(address: SocketAddr) -> Result<TcpStream, String> {
    let dialled = timeout(PATIENCE, TcpStream::connect(address)).await;
    dialled.map_err(|_| format!("{address} does not answer"))?.map_err(|error| format!("{address}: {error}"))
}

/// Says something, and reads what is answered.
pub(super) async fn say<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    words: &str,
) -> Result<String, String> {
    let sent = timeout(PATIENCE, stream.write_all(words.as_bytes())).await;
    sent.map_err(|_| "no time".to_owned())?.map_err(|error| error.to_string())?;
    let mut answer = Vec::new();
    // what ends without a goodbye was answered all the same
    let _ = timeout(PATIENCE, stream.take(MOST).read_to_end(&mut answer)).await;
    if answer.is_empty() {
        Err("no answer".to_owned())
    } else {
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}

fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let head = answer.split("\r\n\r\n").next()?;
    let lines = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    lines.into_iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}
