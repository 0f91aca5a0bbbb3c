//! The WebSocket to a container through any node: one binary message, one frame of the sealed channel.

use std::{collections::VecDeque, future::poll_fn, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use ocmt_types::ContainerId;
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        Error as WsError, Message, client::IntoClientRequest as _, error::ProtocolError,
        protocol::WebSocketConfig,
    },
};

use crate::{
    ClientError,
    connect::{Target, host},
};

/// Subprotocol of the sealed channel.
pub const SUBPROTOCOL: &str = "ocmt.v1";
/// Close code of a gateway whose cell is locked.
pub const CLOSE_LOCKED: u16 = 4423;

const CONNECT: Duration = Duration::from_secs(5);
/// A frame is at most 64 KiB of content and its head.
const FRAME_BYTES: usize = 80 << 10;

/// How the container was brought back for this connection.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Wake {
    /// `none`, `unpause`, `start` or `create`.
    pub kind: String,
    /// How long that took on the node.
    pub millis: u64,
}

impl Wake {
    /// As the answer to a call says it.
    pub(crate) fn of(metadata: &tonic::metadata::MetadataMap) -> Result<Self, ClientError> {
        let text = |name: &'static str| metadata.get(name).and_then(|value| value.to_str().ok());
        let kind = text("ocmt-wake-kind").ok_or(ClientError::Answer("ocmt-wake-kind"))?.to_owned();
        let millis = text("ocmt-wake-ms").and_then(|millis| millis.parse().ok());
        Ok(Self { kind, millis: millis.ok_or(ClientError::Answer("ocmt-wake-ms"))? })
    }
}

/// An open gateway connection.
pub struct Gateway {
    socket: WebSocketStream<TlsStream<TcpStream>>,
    wake: Wake,
}

/// What comes out of a gateway.
#[derive(Debug)]
pub enum Incoming {
    /// A frame of the sealed channel.
    Frame(Bytes),
    /// The node closed: code and reason.
    Closed(u16, String),
}

impl Gateway {
    /// Connects to `container` with a gateway token; a sleeping container is woken first, within `patience`.
    ///
    /// # Errors
    /// [`ClientError::Connect`]; [`ClientError::Channel`] if the node refuses the connection.
    pub async fn connect(
        target: &Target,
        container: ContainerId,
        token: &str,
        patience: Duration,
    ) -> Result<Self, ClientError> {
        let authority = target.authority()?;
        let failed = |why: String| ClientError::Connect { endpoint: target.endpoint.clone(), why };
        let address = (host(&authority).to_owned(), authority.port_u16().unwrap_or(443));
        let tcp = timeout(CONNECT, TcpStream::connect(address))
            .await
            .map_err(|_| failed("no answer".to_owned()))?;
        let tcp = tcp
            .and_then(|tcp| tcp.set_nodelay(true).map(|()| tcp))
            .map_err(|error| failed(error.to_string()))?;
        let name = ServerName::try_from(host(&authority).to_owned())
            .map_err(|_| failed("not a host name".to_owned()))?;
        let tls = tls(target)?.connect(name, tcp).await.map_err(|error| failed(error.to_string()))?;

        let mut request = format!("wss://{authority}/gateway/{container}")
            .into_client_request()
            .map_err(|_| ClientError::Usage("the endpoint is not a host and port".to_owned()))?;
        let protocols = HeaderValue::from_str(&format!("{SUBPROTOCOL}, ocmt.token.{token}"));
        let mut protocols = protocols.map_err(|_| ClientError::Answer("gateway token"))?;
        protocols.set_sensitive(true);
        request.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, protocols);
        let config =
            WebSocketConfig::default().max_message_size(Some(FRAME_BYTES)).max_frame_size(Some(FRAME_BYTES));
        let opened = timeout(patience, client_async_with_config(request, tls, Some(config))).await;
        match opened {
            Err(_) => Err(ClientError::Channel(format!(
                "the container did not wake within {} s",
                patience.as_secs()
            ))),
            Ok(Err(WsError::Http(answer))) if answer.status() == StatusCode::SERVICE_UNAVAILABLE => {
                // for a while: the tenant or its container is between two nodes
                Err(failed(refusal(WsError::Http(answer))))
            }
            // a node that stops may break off before it has answered
            Ok(Err(error)) if is_lost(&error) => Err(failed(error.to_string())),
            Ok(Err(error)) => Err(ClientError::Channel(refusal(error))),
            Ok(Ok((socket, answer))) => {
                let spoken = answer.headers().get(header::SEC_WEBSOCKET_PROTOCOL);
                if spoken.is_none_or(|protocol| protocol != SUBPROTOCOL) {
                    return Err(ClientError::Answer("subprotocol"));
                }
                Ok(Self { wake: wake(answer.headers())?, socket })
            }
        }
    }

    /// How the container was brought back.
    pub fn wake(&self) -> &Wake {
        &self.wake
    }

    /// Sends one frame.
    ///
    /// # Errors
    /// [`ClientError::Channel`] when the connection is gone.
    pub async fn send(&mut self, frame: Bytes) -> Result<(), ClientError> {
        self.send_all(&mut VecDeque::from([frame])).await
    }

    /// Sends the frames that wait in `outbox`, in order. Safe to drop while waiting: a frame has left the
    /// outbox exactly when the connection has taken it.
    ///
    /// # Errors
    /// [`ClientError::Channel`] when the connection is gone; what was not taken is still in `outbox`.
    pub async fn send_all(&mut self, outbox: &mut VecDeque<Bytes>) -> Result<(), ClientError> {
        let gone = |error: WsError| ClientError::Channel(error.to_string());
        while !outbox.is_empty() {
            poll_fn(|cx| self.socket.poll_ready_unpin(cx)).await.map_err(gone)?;
            if let Some(frame) = outbox.pop_front() {
                self.socket.start_send_unpin(Message::Binary(frame)).map_err(gone)?;
            }
        }
        self.socket.flush().await.map_err(gone)
    }

    /// The next frame, or why there is none any more.
    ///
    /// # Errors
    /// [`ClientError::Channel`] when the connection broke.
    pub async fn receive(&mut self) -> Result<Incoming, ClientError> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Binary(frame))) => return Ok(Incoming::Frame(frame)),
                Some(Ok(Message::Close(close))) => {
                    let (code, reason) =
                        close.map_or((1005, String::new()), |c| (c.code.into(), c.reason.to_string()));
                    return Ok(Incoming::Closed(code, reason));
                }
                Some(Ok(Message::Text(_))) => {
                    return Err(ClientError::Answer("a text frame on a sealed channel"));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(ClientError::Channel(error.to_string())),
                None => return Ok(Incoming::Closed(1006, String::new())),
            }
        }
    }

    /// Closes the connection; the sealed channel can be resumed on another.
    pub async fn close(mut self) {
        // the other end may be gone already, which is what is wanted
        let _ = self.socket.close(None).await;
    }
}

fn tls(target: &Target) -> Result<TlsConnector, ClientError> {
    let ca = CertificateDer::from_pem_slice(target.ca.pem().as_bytes())
        .map_err(|_| ClientError::Ca("not a PEM certificate"))?;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(ca).map_err(|_| ClientError::Ca("not a certificate authority"))?;
    let config =
        rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|_| ClientError::Ca("not usable with TLS 1.3"))?
            .with_root_certificates(roots)
            .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

fn wake(headers: &HeaderMap) -> Result<Wake, ClientError> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let kind = text("ocmt-wake-kind").ok_or(ClientError::Answer("ocmt-wake-kind"))?;
    let millis =
        text("ocmt-wake-ms").and_then(|ms| ms.parse().ok()).ok_or(ClientError::Answer("ocmt-wake-ms"))?;
    Ok(Wake { kind: kind.to_owned(), millis })
}

/// Whether the connection ended before there was an answer.
fn is_lost(error: &WsError) -> bool {
    match error {
        WsError::Io(_) | WsError::ConnectionClosed | WsError::AlreadyClosed => true,
        WsError::Protocol(error) => matches!(error, ProtocolError::HandshakeIncomplete),
        _ => false,
    }
}

/// The node's problem+json says why; its `detail` is for people.
fn refusal(error: WsError) -> String {
    let WsError::Http(response) = error else {
        return error.to_string();
    };
    let problem =
        response.body().as_deref().and_then(|body| serde_json::from_slice::<serde_json::Value>(body).ok());
    let detail =
        problem.as_ref().and_then(|problem| problem.get("detail")).and_then(serde_json::Value::as_str);
    match (detail, response.status()) {
        (Some(detail), _) => detail.to_owned(),
        (None, StatusCode::UNAUTHORIZED) => "the gateway token was refused".to_owned(),
        (None, status) => format!("the node answered {status}"),
    }
}
