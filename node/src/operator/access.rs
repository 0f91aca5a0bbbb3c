//! Which operator asks, whether the request was answered before, and how the act is recorded.

use http::Extensions;
use ocmt_actors::{ActingOperator, ActorError, IdempotencyKey};
use ocmt_crypto::audit::{Actor, Outcome};
use ocmt_store::{ClusterAct, Remembered, RequestKey, StoreError, tables::Operator};
use ocmt_types::{Digest32, OperatorId, RequestId, Timestamp};
use prost::Message;
use sha2::{Digest as _, Sha256};
use tonic::{Request, Status};

use super::{OperatorRpc, door::Shown};
use crate::edge::{call, error};

/// An operator whose certificate is good, and the request.
pub(super) struct Asking {
    pub(super) id: OperatorId,
    pub(super) request: RequestId,
    pub(super) now: Timestamp,
    key: Option<RequestKey>,
}

impl OperatorRpc {
    /// Who asks: a certificate that is listed and was not revoked.
    pub(super) async fn asking<T: Message>(
        &self,
        request: &Request<T>,
        method: &'static str,
        idempotency_key: &[u8],
    ) -> Result<Asking, Status> {
        let operator = self.shown(request.extensions(), method).await?;
        let (id, now) = (operator.operator_id, self.parts.clock.now());
        let message = request.get_ref();
        let key = (!idempotency_key.is_empty()).then(|| RequestKey {
            principal: format!("operator/{id}"),
            key: idempotency_key.to_vec(),
            method,
            request_hash: Digest32(Sha256::digest(message.encode_to_vec()).into()),
        });
        let request = call::request_id(request.extensions()).map_err(|e| refuse(&e))?;
        Ok(Asking { id, request, now, key })
    }

    /// The operator whose certificate was shown with a request for `what`: it is listed and was not revoked.
    pub(crate) async fn shown(&self, extensions: &Extensions, what: &str) -> Result<Operator, Status> {
        let shown = extensions.get::<Shown>().copied();
        let shown = shown.ok_or_else(|| refuse(&ActorError::Unauthenticated(NO_CERTIFICATE)))?;
        let now = self.parts.clock.now();
        let found = self.parts.store.operators().operator(shown.id).await.map_err(|e| stored(&e))?;
        found.filter(|operator| is_good(operator, shown.fingerprint, now)).ok_or_else(|| {
            tracing::warn!(operator = %shown.id, what, "refused an operator whose certificate is not good");
            refuse(&ActorError::Unauthenticated(
                "this operator's certificate is not listed, was revoked or has ended",
            ))
        })
    }

    /// The answer that this request got before; none if it is new.
    pub(super) async fn answered<A: Message + Default>(&self, asking: &Asking) -> Result<Option<A>, Status> {
        let Some(key) = &asking.key else { return Ok(None) };
        match self.parts.store.operators().answered(key).await.map_err(|e| stored(&e))? {
            None => Ok(None),
            Some(answer) if answer.is_empty() => Err(refuse(&ActorError::precondition(
                "ANSWER_SHOWN_ONCE",
                "this request was answered, and its answer is shown once: ask anew with another idempotency key",
            ))),
            Some(answer) => A::decode(answer.as_slice()).map(Some).map_err(|_| {
                refuse(&ActorError::unavailable("STORE_DAMAGED", "a stored answer cannot be read"))
            }),
        }
    }
}

impl Asking {
    /// The act as the audit tells it, with its answer kept for a repeat.
    pub(super) fn act(&self, action: &'static str, object: String, answer: &impl Message) -> ClusterAct {
        self.recorded(action, object, answer.encode_to_vec())
    }

    /// The same for an answer that is a secret and shown once.
    pub(super) fn secret_act(&self, action: &'static str, object: String) -> ClusterAct {
        self.recorded(action, object, Vec::new())
    }

    /// The same to the actors.
    pub(super) fn acting(&self) -> ActingOperator {
        let idempotency = self
            .key
            .as_ref()
            .map(|key| IdempotencyKey { key: key.key.clone(), request_hash: key.request_hash.0 });
        ActingOperator { operator: self.id, request: self.request, idempotency }
    }

    fn recorded(&self, action: &'static str, object: String, response: Vec<u8>) -> ClusterAct {
        ClusterAct {
            at: self.now,
            request: self.request,
            actor: Actor::Operator(*self.id.as_bytes()),
            action,
            object,
            outcome: Outcome::Allowed,
            details: Vec::new(),
            remember: self.key.clone().map(|key| Remembered { key, response }),
        }
    }

    /// What was confirmed and is still to be done; the record of the deed keeps the answer.
    pub(super) fn wish(&self, action: &'static str, object: String) -> ClusterAct {
        ClusterAct { remember: None, ..self.recorded(action, object, Vec::new()) }
    }

    /// One that was refused for want of authority.
    pub(super) fn denied(&self, action: &'static str, object: String) -> ClusterAct {
        ClusterAct { outcome: Outcome::Denied, remember: None, ..self.recorded(action, object, Vec::new()) }
    }
}

pub(super) const NO_CERTIFICATE: &str = "operators ask on the operator listener, with the certificate that `ocmt cluster init` or CreateOperator made";

fn is_good(operator: &Operator, fingerprint: Digest32, now: Timestamp) -> bool {
    operator.fingerprint == fingerprint && operator.revoked_at.is_none() && operator.expires_at > now
}

/// A refusal. Operators and nodes show certificates and invitations, so to sign in again is no way on for them.
pub(super) fn refuse(refused: &ActorError) -> Status {
    match refused {
        ActorError::Unauthenticated(why) => error::status_saying(refused, *why),
        other => error::status(other),
    }
}

/// There is no such `thing`, by its name: an operator may know of everything, and an act names several.
pub(super) fn no_such(thing: impl std::fmt::Display) -> Status {
    error::status_saying(&ActorError::NotFound, format!("there is no {thing}"))
}

/// A failure of the store as its asker sees it.
pub(crate) fn stored(failed: &StoreError) -> Status {
    refuse(&match failed {
        StoreError::Invalid { table: "idempotency", what } => {
            ActorError::precondition("IDEMPOTENCY_MISMATCH", *what)
        }
        StoreError::OutcomeUnknown(_) => ActorError::OutcomeUnknown,
        StoreError::Conflict => ActorError::Aborted("the cluster"),
        _ => {
            tracing::warn!(error = %failed, "an operator's act failed at the store");
            ActorError::unavailable(
                "STORE_UNAVAILABLE",
                "the database does not answer, or refuses the change",
            )
        }
    })
}

/// A failure of keys or certificates as its asker sees it.
pub(super) fn of_keys(failed: &crate::pki::PkiError) -> Status {
    use crate::pki::PkiError;
    refuse(&match failed {
        PkiError::Request(why) => ActorError::invalid("certificate_request_der", *why),
        PkiError::NoAuthority => ActorError::precondition("NO_AUTHORITY", failed.to_string()),
        _ => {
            tracing::error!(error = %failed, "a certificate cannot be made");
            ActorError::unavailable("AUTHORITY_UNAVAILABLE", "the certificate cannot be made now")
        }
    })
}
