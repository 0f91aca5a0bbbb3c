//! A client of a workload through the gateway: its HTTP and its WebSockets, byte for byte what a node is sent.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use ocmt_client::{Client, connect::Target};
use ocmt_proto::v1 as pb;
use ocmt_types::ContainerId;
use tokio::{net::TcpStream, task::JoinSet, time::timeout};
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error as WsError, Message, client::IntoClientRequest as _, protocol::CloseFrame},
};

use crate::http::{Answer, connect};

/// The subprotocol.
pub const PROTOCOL: &str = "ocmt.plain.v1";
const PATIENCE: Duration = Duration::from_secs(60);

/// Somebody with a token of a container, who goes through one node.
#[derive(Clone)]
pub struct Visitor {
    /// The node.
    pub target: Target,
    /// Where to.
    pub container: ContainerId,
    /// What is shown.
    pub token: String,
}

/// An answer that is still coming.
pub struct Coming {
    /// Its head, and what comes of its body.
    pub answer: Response<Incoming>,
    _connection: JoinSet<()>,
}

/// A connection to the node over which nothing was asked yet.
pub struct Line {
    sender: http1::SendRequest<Full<Bytes>>,
    connection: JoinSet<()>,
}

impl Coming {
    /// The next piece; none at the end.
    ///
    /// # Errors
    /// It broke off, or nothing came for a minute.
    pub async fn next(&mut self) -> anyhow::Result<Option<Bytes>> {
        match timeout(PATIENCE, self.answer.body_mut().frame()).await.context("nothing more came")? {
            Some(frame) => Ok(Some(frame?.into_data().unwrap_or_default())),
            None => Ok(None),
        }
    }

    /// All of it.
    ///
    /// # Errors
    /// It broke off.
    pub async fn whole(mut self) -> anyhow::Result<Answer> {
        let mut body = Vec::new();
        while let Some(piece) = self.next().await? {
            body.extend_from_slice(&piece);
        }
        let body = String::from_utf8_lossy(&body).into_owned();
        Ok(Answer { status: self.answer.status(), headers: self.answer.headers().clone(), body })
    }
}

impl Visitor {
    /// With a token of this session.
    ///
    /// # Errors
    /// None is given.
    pub async fn of(client: &Client, target: Target, container: ContainerId) -> anyhow::Result<Self> {
        let request = pb::IssueGatewayTokenRequest {
            container_id: container.to_string(),
            lifetime: Some(prost_types::Duration { seconds: 3600, nanos: 0 }),
            idempotency_key: rand::random::<[u8; 16]>().to_vec().into(),
        };
        let token = client.containers().issue_gateway_token(request).await?.into_inner().token;
        Ok(Self { target, container, token })
    }

    /// A connection of its own.
    ///
    /// # Errors
    /// The node cannot be reached.
    pub async fn dial(&self) -> anyhow::Result<Line> {
        let (sender, running) = http1::handshake(TokioIo::new(connect(&self.target).await?)).await?;
        let mut connection = JoinSet::new();
        connection.spawn(async move { drop(running.await) });
        Ok(Line { sender, connection })
    }

    /// A request with the token in its header, and these headers besides.
    ///
    /// # Errors
    /// The node cannot be reached, or gives no answer.
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> anyhow::Result<Coming> {
        self.ask_over(self.dial().await?, method, path, headers, body).await
    }

    /// The same over a connection that stands.
    ///
    /// # Errors
    /// No answer comes.
    pub async fn ask_over(
        &self,
        line: Line,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> anyhow::Result<Coming> {
        let mut request = Request::new(Full::new(body.into()));
        *request.method_mut() = method;
        *request.uri_mut() = format!("/gateway/{}{path}", self.container).parse()?;
        let sent = request.headers_mut();
        sent.insert(header::HOST, self.target.authority()?.as_str().parse()?);
        sent.insert("ocmt-gateway-token", self.token.parse()?);
        for (name, value) in headers {
            sent.append(name.parse::<header::HeaderName>()?, value.parse()?);
        }
        let Line { mut sender, connection } = line;
        let answer = timeout(PATIENCE, sender.send_request(request)).await.context("no answer came")??;
        Ok(Coming { answer, _connection: connection })
    }

    /// `GET path`, whole.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.ask(Method::GET, path, &[], Bytes::new()).await?.whole().await
    }

    /// A WebSocket at `path`, and how its container was woken.
    ///
    /// # Errors
    /// Why it is refused.
    pub async fn socket(&self, path: &str) -> anyhow::Result<Socket> {
        match self.try_socket(path, &[]).await? {
            Ok(socket) => Ok(socket),
            Err(answer) => bail!("{}: {}", answer.status, answer.body),
        }
    }

    /// The same; a refusal is an answer.
    ///
    /// # Errors
    /// The node cannot be reached.
    pub async fn try_socket(
        &self,
        path: &str,
        headers: &[(&str, &str)],
    ) -> anyhow::Result<Result<Socket, Answer>> {
        let authority = self.target.authority()?;
        let url = format!("wss://{authority}/gateway/{}{path}", self.container);
        let mut request = url.into_client_request()?;
        let offer = format!("{PROTOCOL}, ocmt.token.{}", self.token);
        request.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, offer.parse()?);
        for (name, value) in headers {
            request.headers_mut().append(name.parse::<header::HeaderName>()?, value.parse()?);
        }
        let stream = connect(&self.target).await?;
        match timeout(PATIENCE, client_async(request, stream)).await.context("no answer came")? {
            Ok((stream, answer)) => {
                let spoken = answer.headers().get(header::SEC_WEBSOCKET_PROTOCOL);
                ensure!(spoken.is_some_and(|it| it == PROTOCOL), "another protocol: {spoken:?}");
                let wake = answer.headers().get("ocmt-wake-kind").and_then(|kind| kind.to_str().ok());
                Ok(Ok(Socket { wake: wake.unwrap_or_default().to_owned(), stream }))
            }
            Err(WsError::Http(answer)) => {
                let body = answer.body().clone().unwrap_or_default();
                let body = String::from_utf8_lossy(&body).into_owned();
                Ok(Err(Answer { status: answer.status(), headers: answer.headers().clone(), body }))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// An open WebSocket.
pub struct Socket {
    /// How its container was woken.
    pub wake: String,
    /// Its messages.
    pub stream: WebSocketStream<TlsStream<TcpStream>>,
}

impl Socket {
    /// Says something.
    ///
    /// # Errors
    /// It is closed.
    pub async fn say(&mut self, text: &str) -> anyhow::Result<()> {
        Ok(self.stream.send(Message::Text(text.into())).await?)
    }

    /// The next message that is no ping.
    ///
    /// # Errors
    /// None comes.
    pub async fn hear(&mut self) -> anyhow::Result<Message> {
        loop {
            let next = timeout(PATIENCE, self.stream.next()).await.context("nothing came")?;
            match next.context("the WebSocket is over")?? {
                Message::Ping(_) | Message::Pong(_) => {}
                message => return Ok(message),
            }
        }
    }

    /// Says something that is no text.
    ///
    /// # Errors
    /// It is closed.
    pub async fn say_bytes(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        Ok(self.stream.send(Message::Binary(bytes.to_vec().into())).await?)
    }

    /// Closes it with this code; [`Self::closed`] has the answer.
    ///
    /// # Errors
    /// It is closed.
    pub async fn close(&mut self, code: u16) -> anyhow::Result<()> {
        Ok(self.stream.close(Some(CloseFrame { code: code.into(), reason: "done".into() })).await?)
    }

    /// Says something and hears what comes next, as text.
    ///
    /// # Errors
    /// As the two.
    pub async fn talk(&mut self, text: &str) -> anyhow::Result<String> {
        self.say(text).await?;
        Ok(self.hear().await?.into_text()?.as_str().to_owned())
    }

    /// The code and reason it is closed with, after whatever comes before; 1005 for none.
    ///
    /// # Errors
    /// It goes without.
    pub async fn closed(&mut self) -> anyhow::Result<(u16, String)> {
        loop {
            if let Message::Close(close) = self.hear().await? {
                return Ok(close.map_or((1005, String::new()), |it| (it.code.into(), it.reason.to_string())));
            }
        }
    }
}

/// Whether an answer is a problem of the node's with this status and reason.
pub fn is_problem(answer: &Answer, status: StatusCode, reason: &str) -> bool {
    answer.status == status && answer.body.contains(&format!("\"reason\":\"{reason}\""))
}
