//! HTTP/2 frame by frame, by hand: what no library would send.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::Context as _;
use ocmt_client::connect::Target;
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf, split},
    net::TcpStream,
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How long the other side may take nothing, or say nothing once all was sent.
const QUIET: Duration = Duration::from_secs(3);

/// Types and flags of frames, RFC 9113.
pub mod kind {
    #![allow(missing_docs)]
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
    pub const END_STREAM: u8 = 1;
    pub const END_HEADERS: u8 = 4;
}

/// A frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A header list: literal, neither indexed nor compressed.
pub fn headers(list: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in list {
        block.push(0);
        for text in [name, value] {
            integer(&mut block, 127, text.len());
            block.extend(text.as_bytes());
        }
    }
    block
}

/// The head of a gRPC call.
pub fn call(path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let mut list = vec![
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", "localhost"),
        (":path", path),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    list.extend_from_slice(more);
    headers(&list)
}

/// An integer of HPACK behind a prefix of `most`.
fn integer(block: &mut Vec<u8>, most: u8, value: usize) {
    let Ok(short) = u8::try_from(value).map_err(drop).and_then(|v| if v < most { Ok(v) } else { Err(()) })
    else {
        block.push(most);
        let mut rest = value - usize::from(most);
        while rest >= 128 {
            block.push(u8::try_from(rest % 128).unwrap_or(0) | 128);
            rest /= 128;
        }
        block.push(u8::try_from(rest).unwrap_or(0));
        return;
    };
    block.push(short);
}

/// What the other side said.
#[derive(Debug, Default, Clone)]
pub struct Said {
    /// Error code of its GOAWAY, if it sent one with an error.
    pub goaway: Option<u32>,
    /// How often it reset a stream, by error code.
    pub resets: BTreeMap<u32, usize>,
    /// Streams that it answered with headers.
    pub answered: usize,
    /// Its settings.
    pub settings: BTreeMap<u16, u32>,
    /// Acknowledged pings and settings.
    pub acknowledged: usize,
    /// It closed the connection.
    pub closed: bool,
}

/// A connection.
pub struct Raw {
    to: WriteHalf<TlsStream<TcpStream>>,
    heard: Heard,
}

enum Heard {
    Reading(JoinSet<Said>),
    Deaf(ReadHalf<TlsStream<TcpStream>>),
}

impl Raw {
    /// Connects and says the preface. A `deaf` one reads nothing until it ends.
    ///
    /// # Errors
    /// The node cannot be reached.
    pub async fn connect(target: &Target, deaf: bool) -> anyhow::Result<Self> {
        let authority = target.authority()?;
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(target.ca.pem().as_bytes())?)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider);
        let config = config.with_safe_default_protocol_versions()?.with_root_certificates(roots);
        let mut config = config.with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let tcp = TcpStream::connect((authority.host(), authority.port_u16().context("no port")?)).await?;
        let name = ServerName::try_from(authority.host().to_owned())?;
        let stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await?;
        let (from, mut to) = split(stream);
        to.write_all(&[PREFACE, &frame(kind::SETTINGS, 0, 0, &[])].concat()).await?;
        to.flush().await?;
        let heard = if deaf {
            Heard::Deaf(from)
        } else {
            let mut reading = JoinSet::new();
            reading.spawn(read(from));
            Heard::Reading(reading)
        };
        Ok(Self { to, heard })
    }

    /// Sends bytes; false once the other side takes no more.
    pub async fn send(&mut self, bytes: &[u8]) -> bool {
        let sent = async { self.to.write_all(bytes).await.is_ok() && self.to.flush().await.is_ok() };
        timeout(QUIET, sent).await.unwrap_or(false)
    }

    /// Sends what `make` makes of 0, 1, … until `times` or until the other side takes no more; how many went out.
    pub async fn flood(&mut self, times: u32, make: impl Fn(u32) -> Vec<u8>) -> u32 {
        const BATCH: u32 = 500;
        let mut sent = 0;
        while sent < times {
            let upto = times.min(sent + BATCH);
            let batch: Vec<u8> = (sent..upto).flat_map(&make).collect();
            if !self.send(&batch).await {
                return sent;
            }
            sent = upto;
        }
        sent
    }

    /// Waits until the other side says no more, and what it said.
    ///
    /// # Errors
    /// The reader failed.
    pub async fn end(self) -> anyhow::Result<Said> {
        match self.heard {
            Heard::Reading(mut reading) => Ok(reading.join_next().await.context("nobody reads")??),
            Heard::Deaf(from) => Ok(read(from).await),
        }
    }
}

async fn read(mut from: ReadHalf<TlsStream<TcpStream>>) -> Said {
    let mut said = Said::default();
    loop {
        let mut head = [0; 9];
        match timeout(QUIET, from.read_exact(&mut head)).await {
            Err(_) => return said,
            Ok(Err(_)) => {
                said.closed = true;
                return said;
            }
            Ok(Ok(_)) => {}
        }
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut payload = vec![0; length];
        if from.read_exact(&mut payload).await.is_err() {
            said.closed = true;
            return said;
        }
        said.take(head[3], head[4], &payload);
    }
}

impl Said {
    fn take(&mut self, kind: u8, flags: u8, payload: &[u8]) {
        let word =
            |at: usize| payload.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_be_bytes);
        match kind {
            kind::GOAWAY => self.goaway = word(4).filter(|code| *code != 0).or(self.goaway),
            kind::RST_STREAM => *self.resets.entry(word(0).unwrap_or(0)).or_default() += 1,
            kind::HEADERS => self.answered += 1,
            kind::SETTINGS | kind::PING if flags & 1 == 1 => self.acknowledged += 1,
            kind::SETTINGS => {
                for setting in payload.chunks_exact(6) {
                    let id = u16::from_be_bytes([setting[0], setting[1]]);
                    let value = u32::from_be_bytes([setting[2], setting[3], setting[4], setting[5]]);
                    self.settings.insert(id, value);
                }
            }
            _ => {}
        }
    }
}
