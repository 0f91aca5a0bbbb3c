//! In front of every gRPC method, before a byte of the message is read: a stranger makes nothing wait or grow.

use std::time::Duration;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use futures_util::StreamExt as _;
use ocmt_actors::ActorError;
use ocmt_crypto::token::{Token, TokenKind};

use super::{call, error, pace::keep_coming};

/// Methods that need no session: what they show is in the message.
const OPEN: [&str; 5] = [
    "/ocmt.v1.AuthService/SignUp",
    "/ocmt.v1.AuthService/RequestMagicLink",
    "/ocmt.v1.AuthService/ExchangeMagicLink",
    "/ocmt.v1.UserService/AcceptInvite",
    crate::operator::JOIN,
];

/// On top of the longest call: what reading the message and writing the answer may take.
const TRANSFER: Duration = Duration::from_secs(15);

/// Longest wait for the next of a message that a client streams. A conversation may fall silent; an upload may not.
const PAUSE: Duration = Duration::from_secs(60);

/// What of a refused call's message is waited for.
const UNREAD: Duration = Duration::from_millis(500);
const UNREAD_BYTES: usize = 64 << 10;

/// Refuses calls without a well-formed token of a session or a program, and ends unary calls that take longer than
/// `longest`. Whether the token is good is the tenant's to say, after the message was read.
pub async fn stand(State(longest): State<Duration>, request: Request, next: Next) -> Response {
    let Some(method) = ocmt_proto::methods::find(request.uri().path()) else {
        return next.run(request).await;
    };
    if !OPEN.contains(&method.path)
        && let Err(refused) = session_token(&request)
    {
        let_arrive(request).await;
        return answer(&refused);
    }
    if method.client_streaming && !method.server_streaming {
        return next.run(request.map(|body| keep_coming(body, PAUSE))).await;
    }
    if method.client_streaming || method.server_streaming {
        return next.run(request).await;
    }
    match tokio::time::timeout(longest + TRANSFER, next.run(request)).await {
        Ok(response) => response,
        Err(_) => answer(&ActorError::DeadlineExceeded),
    }
}

/// Lets the little that is on its way arrive, unread: HTTP/2 counts data for an answered stream as an error,
/// and a client whose session has ended would lose its connection after some dozen calls.
async fn let_arrive(request: Request) {
    let mut body = request.into_body().into_data_stream();
    let arrive = async {
        let mut bytes = 0;
        while let Some(Ok(chunk)) = body.next().await {
            bytes += chunk.len();
            if bytes > UNREAD_BYTES {
                return;
            }
        }
    };
    if tokio::time::timeout(UNREAD, arrive).await.is_err() {
        tracing::debug!("a refused call was answered before its message had come");
    }
}

fn session_token(request: &Request) -> Result<(), ActorError> {
    let token = call::bearer(request.headers())?;
    match Token::parse(token).map(|token| token.kind()) {
        Ok(TokenKind::Session | TokenKind::Program) => Ok(()),
        _ => Err(ActorError::Unauthenticated("the session is unknown or has ended")),
    }
}

fn answer(refused: &ActorError) -> Response {
    error::status(refused).into_http::<tonic::body::Body>().map(axum::body::Body::new).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_open_method_exists() {
        for path in OPEN {
            assert!(ocmt_proto::methods::find(path).is_some(), "{path} is no method");
        }
    }
}
