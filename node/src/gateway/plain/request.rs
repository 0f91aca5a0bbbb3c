//! One request to the workload, over a connection of its own.

use std::time::Duration;

use axum::{
    body::{Body, HttpBody as _},
    http::{HeaderValue, Method, Request, StatusCode, Uri, Version, header, request::Parts},
    response::Response,
};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use ocmt_actors::api::container::{Ending, plain::Word};
use ocmt_types::ContainerId;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::{
    super::{GatewayState, tell, token},
    Opened, Words, answer, connect, headers,
    pieces::{self, Wrong},
};
use crate::{edge::error::problem, tasks};

/// The head of the answer comes within this. A model may take its time.
const ANSWER: Duration = Duration::from_secs(300);
/// Most bytes of the head of an answer, and most headers.
const HEAD_BYTES: usize = 64 << 10;
const HEADERS: usize = 100;

const METHODS: [Method; 7] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];

/// Sends it, and answers with what comes back.
pub(in crate::gateway) async fn request(
    state: &GatewayState,
    (container, target): (ContainerId, Uri),
    head: Parts,
    body: Body,
) -> Response {
    let token = match token::in_header(&head.headers) {
        Ok(token) => token,
        Err(error) => return problem(&error),
    };
    if !METHODS.contains(&head.method) {
        return answer::no_method();
    }
    let length = body.size_hint().exact();
    if length.is_some_and(|length| length > pieces::LONGEST) {
        return answer::too_long();
    }
    let opened = match connect(state, container, (token, true), &head.extensions).await {
        Ok(opened) => opened,
        Err(error) => return problem(&error),
    };
    let (wake, is_head) = (opened.wake, head.method == Method::HEAD);
    let wrong = Wrong::default();
    let outgoing = outgoing(head, target, pieces::up(body, opened.words.clone(), wrong.clone()), length);
    let mut answer = match exchange(opened, outgoing).await {
        Ok((said, words, connection)) => incoming(said, words, connection, (container, is_head)),
        Err(_) if wrong.is_too_long() => answer::too_long(),
        Err(_) if wrong.is_stalled() => answer::stalled(),
        Err(refused) => *refused,
    };
    tell(answer.headers_mut(), wake);
    answer
}

fn outgoing(head: Parts, target: Uri, body: Body, length: Option<u64>) -> Request<Body> {
    let empty = length == Some(0);
    let mut request = Request::new(if empty { Body::empty() } else { body });
    *request.method_mut() = head.method;
    *request.uri_mut() = target;
    *request.version_mut() = Version::HTTP_11;
    *request.headers_mut() = headers::up(head.headers);
    if let Some(length) = length.filter(|_| !empty) {
        request.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    request
}

type Exchanged = (http::Response<Incoming>, (Words, Ending), AbortOnDropHandle<()>);

/// The workload is kept awake until its answer begins.
async fn exchange(opened: Opened, request: Request<Body>) -> Result<Exchanged, Box<Response>> {
    let Opened { stream, words, mut ended, .. } = opened;
    let shaken = http1::Builder::new()
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEADERS)
        .handshake(TokioIo::new(stream))
        .await;
    let Ok((mut sender, connection)) = shaken else { return Err(Box::new(answer::broke())) };
    let connection = AbortOnDropHandle::new(tasks::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to a workload ended");
        }
    }));
    words.say(Word::Wakes).await;
    words.say(Word::Busy).await;
    let said = tokio::select! {
        biased;
        end = ended.revoked() => return Err(Box::new(answer::revoked(end))),
        said = timeout(ANSWER, sender.send_request(request)) => said,
    };
    words.say(Word::Free).await;
    match said {
        Ok(Ok(said)) if said.status() != StatusCode::SWITCHING_PROTOCOLS => {
            words.say(Word::Counts).await;
            Ok((said, (words, ended), connection))
        }
        Ok(Ok(_)) => Err(Box::new(answer::broke())),
        Ok(Err(error)) => {
            tracing::debug!(%error, "a workload did not answer");
            Err(Box::new(answer::broke()))
        }
        Err(_) => Err(Box::new(answer::late())),
    }
}

fn incoming(
    said: http::Response<Incoming>,
    session: (Words, Ending),
    connection: AbortOnDropHandle<()>,
    (container, is_head): (ContainerId, bool),
) -> Response {
    let (mut head, body) = said.into_parts();
    let bare = is_head || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let length = match body.size_hint().exact() {
        _ if bare => head.headers.get(header::CONTENT_LENGTH).cloned().filter(|_| is_head),
        length => length.map(HeaderValue::from),
    };
    head.headers = headers::down(head.headers, container);
    head.version = Version::default();
    head.extensions = http::Extensions::default();
    if let Some(length) = length {
        head.headers.insert(header::CONTENT_LENGTH, length);
    }
    let body = if bare { Body::empty() } else { pieces::down(body, session, connection) };
    Response::from_parts(head, body)
}
