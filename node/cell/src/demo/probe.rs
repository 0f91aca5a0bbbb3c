//! What shows how requests and answers travel:
//!
//! `/echo` says back what came, head and body, with headers that no gateway may pass on; `/swallow` counts a body of any
//! length; `GET /after/MS` answers after so long; `GET /drip/COUNT/MS` sends pieces that far apart; `GET /zeros/BYTES`;
//! `GET /to/URL` redirects.

use std::{fmt::Write as _, time::Duration};

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Limited, StreamBody};
use hyper::body::{Frame, Incoming};

use super::server::{Answer, NOTHING, Pieces, plain};

/// Longest body that is said back.
const MAX_BODY: usize = 64 * 1024;
const ZEROS: &[u8] = &[0; 16 << 10];

/// Whether it is one of these.
pub(crate) fn is_one(path: &str) -> bool {
    let first = path.split('/').nth(1);
    first.is_some_and(|first| ["echo", "swallow", "after", "drip", "zeros", "to"].contains(&first))
}

pub(crate) async fn answer(request: Request<Incoming>) -> Response<Answer> {
    let path = request.uri().path().to_owned();
    let mut words = path.split('/').skip(1);
    let (what, first, second) = (words.next().unwrap_or_default(), words.next(), words.next());
    let number = |word: Option<&str>| word.and_then(|word| word.parse::<u64>().ok());
    match (request.method().clone(), what, number(first), number(second)) {
        (_, "echo", ..) => echo(request).await,
        (Method::POST | Method::PUT, "swallow", ..) => swallow(request).await,
        (Method::GET, "after", Some(ms), _) => {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            plain(StatusCode::OK, "now\n")
        }
        (Method::GET, "drip", Some(count), Some(ms)) => pieces(count, b"drop\n", Duration::from_millis(ms)),
        (Method::GET, "zeros", Some(bytes), _) => pieces(bytes / ZEROS.len() as u64, ZEROS, Duration::ZERO),
        (Method::GET, "to", ..) => {
            let mut answer = plain(StatusCode::FOUND, "");
            let to = path.get("/to/".len()..).unwrap_or_default();
            answer.headers_mut().extend(to.parse().ok().map(|to| (header::LOCATION, to)));
            answer
        }
        _ => plain(StatusCode::NOT_FOUND, NOTHING),
    }
}

async fn echo(request: Request<Incoming>) -> Response<Answer> {
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, MAX_BODY).collect().await.map(http_body_util::Collected::to_bytes)
    else {
        return plain(StatusCode::PAYLOAD_TOO_LARGE, "the body is too long or broke off\n");
    };
    let mut said = format!("{} {}\n", head.method, head.uri);
    for (name, value) in &head.headers {
        // to a string nothing fails
        let _ = writeln!(said, "{name}: {}", String::from_utf8_lossy(value.as_bytes()));
    }
    let _ = write!(said, "\n{}", String::from_utf8_lossy(&body));
    let mut answer = plain(StatusCode::OK, &said);
    for (name, value) in [
        ("set-cookie", "__Host-ocmt-session=mine; Path=/; Secure"),
        ("access-control-allow-origin", "*"),
        ("clear-site-data", "\"*\""),
        ("ocmt-not-owner", "-"),
        ("x-of-the-workload", "1"),
    ] {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}

async fn swallow(request: Request<Incoming>) -> Response<Answer> {
    let (mut body, mut bytes) = (request.into_body(), 0);
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => bytes += frame.data_ref().map_or(0, Bytes::len),
            Err(_) => return plain(StatusCode::BAD_REQUEST, "the body broke off\n"),
        }
    }
    plain(StatusCode::OK, &format!("{bytes}\n"))
}

fn pieces(count: u64, piece: &'static [u8], apart: Duration) -> Response<Answer> {
    let pieces = stream::unfold(count, move |left| async move {
        let left = left.checked_sub(1)?;
        tokio::time::sleep(apart).await;
        Some((Ok(Frame::data(Bytes::from_static(piece))), left))
    });
    Response::new(StreamBody::new(Box::pin(pieces) as Pieces).boxed_unsync())
}
