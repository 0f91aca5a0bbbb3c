//! What a workload asks its proxy for, and what of it goes on to the destination.
//!
//! `CONNECT host:port`, or an absolute `http://` address. Every request has a connection of its own, is parsed here
//! and written anew, so that what is read here and at the destination is the same message; what is meant for proxies
//! and for this hop alone does not go on (RFC 9110, 7.6.1).

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version,
    header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, VIA},
};
use http_body_util::{BodyExt as _, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming, SizeHint},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;

use super::{metered::Metered, name::HostName, refusal::Refusal};

/// What answers are made of.
pub(super) type Body = UnsyncBoxBody<Bytes, hyper::Error>;

/// Heads of answers, in bytes; as many lines as of requests.
const LONGEST_HEAD: usize = 64 << 10;
const MOST_LINES: usize = 100;

/// Meant for this hop, beside what `Connection` names.
const HOP_BY_HOP: [HeaderName; 10] = [
    CONNECTION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    EXPECT,
    http::header::PROXY_AUTHENTICATE,
    http::header::PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("keep-alive"),
];

/// Where to, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) host: HostName,
    pub(super) port: u16,
    pub(super) tunnel: bool,
}

impl Target {
    pub(super) fn of<B>(request: &Request<B>) -> Result<Self, Refusal> {
        let uri = request.uri();
        let tunnel = request.method() == Method::CONNECT;
        if !tunnel && uri.scheme_str() != Some("http") {
            return Err(Refusal::Malformed(
                "this is a proxy: CONNECT host:port, or an absolute http:// address",
            ));
        }
        check_framing(request.headers(), request.version())?;
        let authority = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) => (host, port_of(port)),
            None if tunnel => (authority, None),
            None => (authority, Some(80)),
        };
        let port = port.ok_or(Refusal::Malformed("the port is missing or is none"))?;
        let host = host.parse().map_err(|_| Refusal::Malformed("the host must be a name, not an address"))?;
        Ok(Self { host, port, tunnel })
    }

    /// For the audit.
    pub(super) fn place(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    fn authority(&self) -> String {
        if self.port == 80 { self.host.to_string() } else { self.place() }
    }
}

fn port_of(text: &str) -> Option<u16> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port != 0)
}

/// A message whose end two readers could see in two places is not read at all (RFC 9112, 6.3 and 11.2).
fn check_framing(headers: &HeaderMap, version: Version) -> Result<(), Refusal> {
    let unclear = Err(Refusal::Malformed("it is not clear where the request ends"));
    let lengths: Vec<&HeaderValue> = headers.get_all(CONTENT_LENGTH).iter().collect();
    let encodings: Vec<&HeaderValue> = headers.get_all(TRANSFER_ENCODING).iter().collect();
    let chunked = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"chunked");
    match (lengths.as_slice(), encodings.as_slice()) {
        ([], []) => Ok(()),
        ([length], []) if length.as_bytes().iter().all(u8::is_ascii_digit) => Ok(()),
        ([], [encoding]) if chunked(encoding) && version == Version::HTTP_11 => Ok(()),
        _ => unclear,
    }
}

/// Takes away what is meant for this hop.
fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    // a length that a `Connection` line names is still the message's
    for name in named.iter().filter(|name| **name != CONTENT_LENGTH).chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

fn close(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
}

/// The request as the destination gets it.
fn rewritten<B>(request: Request<B>, target: &Target) -> Result<Request<B>, Refusal> {
    let (mut head, body) = request.into_parts();
    let path = head.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    head.uri = path.parse::<Uri>().map_err(|_| Refusal::Malformed("the path is none"))?;
    strip(&mut head.headers);
    // whatever it said: the host that was checked is the host that is asked (RFC 9112, 3.2.2)
    let host = target.authority().parse().map_err(|_| Refusal::Malformed("the host is none"))?;
    head.headers.insert(HOST, host);
    head.headers.append(VIA, HeaderValue::from_static("1.1 ocmt-egress"));
    close(&mut head.headers);
    head.version = Version::HTTP_11;
    Ok(Request::from_parts(head, body))
}

/// Hands a request on, and its answer back.
pub(super) async fn forward(
    request: Request<Incoming>,
    target: &Target,
    stream: Metered,
) -> Result<Response<Body>, Refusal> {
    let request = rewritten(request, target)?;
    let bad = |_: hyper::Error| Refusal::BadAnswer;
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(LONGEST_HEAD)
        .max_headers(MOST_LINES)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(bad)?;
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let (mut head, body) = sender.send_request(request).await.map_err(bad)?.into_parts();
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Refusal::BadAnswer);
    }
    strip(&mut head.headers);
    close(&mut head.headers);
    Ok(Response::from_parts(head, Answer { body, _driver: driver }.boxed_unsync()))
}

/// The body of an answer: the connection it comes over ends with it.
struct Answer {
    body: Incoming,
    _driver: JoinSet<Result<(), hyper::Error>>,
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
