//! In front of every gRPC method, before its message is read: a stranger makes little wait or grow.
//!
//! Anybody can write a token that has the form of one. So no more of a message is read than the smallest services take
//! before the tenant has looked at the token.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use futures_util::StreamExt as _;
use http::request::Parts;
use ocmt_actors::{ActorError, System};
use ocmt_crypto::token::{Token, TokenKind};
use ocmt_types::Clock;

use super::{
    call::{self, Verdict},
    error,
    pace::keep_coming,
    weigh::{Weighed, weigh},
};
use crate::{operator, rpc::unimplemented};

/// Methods that need no session: what they show is in the message.
pub(crate) const OPEN: [&str; 9] = [
    "/ocmt.v1.AuthService/SignUp",
    "/ocmt.v1.AuthService/RequestMagicLink",
    "/ocmt.v1.AuthService/ExchangeMagicLink",
    "/ocmt.v1.AuthService/BeginPasskeyAssertion",
    "/ocmt.v1.AuthService/FinishPasskeyAssertion",
    "/ocmt.v1.AuthService/BeginOidcLogin",
    "/ocmt.v1.AuthService/FinishOidcLogin",
    "/ocmt.v1.UserService/AcceptInvite",
    operator::JOIN,
];

/// On top of the longest call: what reading the message and writing the answer may take.
const TRANSFER: Duration = Duration::from_secs(15);

/// Longest wait for the next of a message that a client streams. A conversation may fall silent; an upload may not.
const PAUSE: Duration = Duration::from_secs(60);

/// What of a refused call's message is waited for.
const UNREAD: Duration = Duration::from_millis(500);
const UNREAD_BYTES: usize = 64 << 10;

/// What the guard knows. Cheap to clone.
#[derive(Clone)]
pub struct Guard {
    /// Whom to ask about tokens.
    pub system: System,
    /// For deadlines.
    pub clock: Arc<dyn Clock>,
    /// No call takes longer.
    pub longest: Duration,
}

/// Refuses calls of what is not served here, then those without a well-formed token of a session or a program or an API
/// key, and long ones without one that is good, and ends unary calls that take too long. Whether the token of a short call
/// is good is the tenant's to say, after the message was read.
pub async fn stand(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if let Some(refused) = unimplemented::refusal(path).or_else(|| operator::elsewhere(path)) {
        return refused;
    }
    let Some(method) = ocmt_proto::methods::find(path) else {
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
    if method.client_streaming {
        // reads nothing before it has looked at the token
        return next.run(request).await;
    }
    let time = guard.longest + TRANSFER;
    if method.server_streaming {
        let asked = tokio::time::timeout(time, guard.look(request, method.path)).await;
        return match asked {
            Ok(Ok(request)) => next.run(request).await,
            Ok(Err(refused)) => refused,
            Err(_) => answer(&ActorError::DeadlineExceeded),
        };
    }
    let served = async {
        match guard.look(request, method.path).await {
            Ok(request) => next.run(request).await,
            Err(refused) => refused,
        }
    };
    tokio::time::timeout(time, served).await.unwrap_or_else(|_| answer(&ActorError::DeadlineExceeded))
}

impl Guard {
    /// Looks at the token before a long message is read; gives the request back to be read, or the answer.
    async fn look(&self, request: Request, path: &str) -> Result<Request, Response> {
        if OPEN.contains(&path) {
            return Ok(request);
        }
        let (head, body) = request.into_parts();
        let body = match weigh(&head.headers, body).await {
            Ok(Weighed::Light(body)) => return Ok(Request::from_parts(head, body)),
            Ok(Weighed::Heavy(body)) => body,
            Err(_) => return Err(answer(&ActorError::invalid("message", "did not come whole"))),
        };
        match self.known(&head).await {
            Ok(()) => Ok(Request::from_parts(head, body)),
            Err(refused) => {
                // what another node is to read is left as it is
                if matches!(refused, ActorError::Unauthenticated(_)) {
                    let_arrive(Request::from_parts(head, body)).await;
                }
                Err(answer(&refused))
            }
        }
    }

    async fn known(&self, head: &Parts) -> Result<(), ActorError> {
        let (id, from) = (call::request_id(&head.extensions)?, call::peer(&head.extensions));
        let deadline = call::deadline(&head.headers, &*self.clock, self.longest);
        let token = call::bearer(&head.headers)?;
        let known = self.system.authenticate(token, id, from, deadline).await.map(drop);
        if let (Err(ActorError::Unauthenticated(_)), Some(verdict)) =
            (&known, Verdict::wanted(&head.extensions))
        {
            verdict.note(false);
        }
        known
    }
}

/// Lets the little that is on its way arrive, unread: HTTP/2 counts data for an answered stream as an error,
/// and a client whose session has ended would lose its connection after some dozen calls.
pub(crate) async fn let_arrive(request: Request) {
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
        Ok(TokenKind::Session | TokenKind::Program | TokenKind::ApiKey) => Ok(()),
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
