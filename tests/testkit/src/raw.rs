//! gRPC by path and bytes: any method, with any credential or none.

use std::time::Duration;

use bytes::{Buf as _, BufMut as _, Bytes};
use http::uri::PathAndQuery;
use tonic::{
    Code, Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    transport::Channel,
};
use tonic_types::StatusExt as _;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a method answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Status; `Ok` for a message or a clean end.
    pub code: Code,
    /// `reason` of the ErrorInfo; empty without one.
    pub reason: String,
    /// Text of the status.
    pub message: String,
    /// The first message; empty without one.
    pub body: Bytes,
}

impl From<Status> for Answer {
    fn from(status: Status) -> Self {
        let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
        Self { code: status.code(), reason, message: status.message().to_owned(), body: Bytes::new() }
    }
}

/// Calls `path` with one encoded message: as a stream, which on the wire is what a unary call is too.
///
/// # Errors
/// The path is none, or the node cannot be reached or does not answer in time.
pub async fn call(
    channel: &Channel,
    path: &str,
    token: Option<&str>,
    message: Vec<u8>,
) -> anyhow::Result<Answer> {
    let mut grpc = Grpc::new(channel.clone());
    grpc.ready().await?;
    let mut request = Request::new(tokio_stream::iter([Bytes::from(message)]));
    if let Some(token) = token {
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse()?);
    }
    let ask = async {
        let mut answer = grpc
            .streaming(request, PathAndQuery::try_from(path).map_err(|_| Status::internal("no path"))?, Raw)
            .await?
            .into_inner();
        answer.message().await
    };
    Ok(match tokio::time::timeout(PATIENCE, ask).await? {
        Ok(body) => Answer {
            code: Code::Ok,
            reason: String::new(),
            message: String::new(),
            body: body.unwrap_or_default(),
        },
        Err(status) => status.into(),
    })
}

/// Bytes as they are.
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;
    fn encoder(&mut self) -> Self {
        Self
    }
    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;
    fn encode(&mut self, item: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;
    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}
