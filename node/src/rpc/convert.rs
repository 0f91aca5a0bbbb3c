//! Small translations that several services share. Field bounds were checked before decoding
//! (`ocmt_proto::bounds`); what fails here is still answered, never assumed.

use data_encoding::HEXLOWER;
use ocmt_actors::{
    ActorError,
    api::{
        auth::Assurance,
        users::{Role, RoleId},
    },
};
use ocmt_proto::v1 as pb;
use ocmt_types::{Digest32, Timestamp};
use tonic::Status;

use crate::edge::error;

/// An id in a request.
pub(crate) fn id<T: std::str::FromStr>(text: &str, field: &'static str) -> Result<T, Status> {
    text.parse().map_err(|_| invalid(field, "is not a lower-case hyphenated UUID"))
}

/// An id that may be left out.
pub(crate) fn optional_id<T: std::str::FromStr>(
    text: &str,
    field: &'static str,
) -> Result<Option<T>, Status> {
    if text.is_empty() { Ok(None) } else { id(text, field).map(Some) }
}

/// What a page token of a list in the order of names says: the name that the page before ended with.
pub(crate) fn page_text(token: &str) -> Result<Option<String>, Status> {
    let text = HEXLOWER.decode(token.as_bytes()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let text = text.ok_or_else(|| invalid("page_token", "is not one of ours"))?;
    Ok((!text.is_empty()).then_some(text))
}

/// The page token that says so.
pub(crate) fn page_token(name: Option<&str>) -> String {
    name.map(|name| HEXLOWER.encode(name.as_bytes())).unwrap_or_default()
}

/// 32 bytes in a request.
pub(crate) fn digest(bytes: &[u8], field: &'static str) -> Result<Digest32, Status> {
    Digest32::try_from(bytes).map_err(|_| invalid(field, "is not 32 bytes"))
}

/// A message that has to be there.
pub(crate) fn present<T>(message: Option<T>, field: &'static str) -> Result<T, Status> {
    message.ok_or_else(|| invalid(field, "is missing"))
}

/// A wrong field.
pub(crate) fn invalid(field: &'static str, why: impl Into<String>) -> Status {
    error::status(&ActorError::invalid(field, why))
}

/// A point of time.
pub(crate) fn time(at: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: at.millis().div_euclid(1000),
        nanos: i32::try_from(at.millis().rem_euclid(1000)).unwrap_or(0) * 1_000_000,
    }
}

/// A length of time in milliseconds.
pub(crate) fn duration(millis: i64) -> prost_types::Duration {
    prost_types::Duration {
        seconds: millis / 1000,
        nanos: i32::try_from(millis % 1000).unwrap_or(0) * 1_000_000,
    }
}

/// Milliseconds of a duration in a request.
pub(crate) fn millis(duration: &prost_types::Duration) -> i64 {
    duration.seconds.saturating_mul(1000).saturating_add(i64::from(duration.nanos) / 1_000_000)
}

/// A role that has to be a built-in one.
pub(super) fn built_in_role(name: &str, field: &'static str) -> Result<Role, Status> {
    match RoleId::from(name.to_owned()) {
        RoleId::BuiltIn(role) => Ok(role),
        RoleId::Custom(_) => Err(invalid(field, "is not one of observer, member, admin, owner")),
    }
}

pub(super) fn assurance(assurance: Assurance) -> i32 {
    match assurance {
        Assurance::Inert => pb::Assurance::Inert,
        Assurance::PendingMfa => pb::Assurance::PendingMfa,
        Assurance::Recovery => pb::Assurance::Recovery,
        Assurance::Link => pb::Assurance::Link,
        Assurance::Mfa => pb::Assurance::Mfa,
    }
    .into()
}

/// At most so many of a page; 0 means `usual`.
pub(crate) fn page_size(asked: i32, usual: u32) -> u32 {
    u32::try_from(asked).ok().filter(|size| *size > 0).unwrap_or(usual)
}
