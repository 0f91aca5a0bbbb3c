//! API keys: good for their scopes, for as long as they may be, and never for more than their user.

mod ends;
mod made;
mod nodes;
mod scopes;
mod trail;

use std::time::Duration;

use ocmt_types::Digest32;

use super::kit::{Kit, Person};
use crate::{
    ActorError, Caller,
    api::keys::{ApiKeyInfo, ApiKeyIssued, CreateApiKey, ListApiKeys},
};

pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);

pub(crate) fn reason<T>(answer: Result<T, ActorError>) -> String {
    answer.err().map(|error| error.reason().to_owned()).unwrap_or_default()
}

/// A wish for a key that is good for a day.
pub(crate) fn ask(scopes: &[&str]) -> CreateApiKey {
    CreateApiKey {
        name: "deploys".to_owned(),
        scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
        lifetime_ms: i64::try_from(DAY.as_millis()).unwrap(),
        asked_by: Digest32(rand::random()),
    }
}

/// A key, and a program that asks with it.
pub(crate) struct Made {
    pub(crate) issued: ApiKeyIssued,
    pub(crate) caller: Caller,
}

impl Made {
    pub(crate) fn secret(&self) -> &str {
        self.issued.secret.expose()
    }
}

pub(crate) async fn made(kit: &Kit, person: &Person, scopes: &[&str]) -> Made {
    let issued = kit.call(&person.caller, ask(scopes)).await.unwrap();
    let caller = kit.authenticate(issued.secret.expose()).await.unwrap();
    Made { issued, caller }
}

/// The person's keys.
pub(crate) async fn keys_of(kit: &Kit, person: &Person) -> Vec<ApiKeyInfo> {
    kit.call(&person.caller, ListApiKeys::default()).await.unwrap().keys
}
