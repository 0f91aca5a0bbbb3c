//! States travel between nodes under the names they are stored by.

use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

use super::ContainerState;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
pub(super) fn serialize<S: Serializer>(state: &ContainerState, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(state.as_str())
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<ContainerState, D::Error> {
    let text = String::deserialize(from)?;
    ContainerState::parse(&text).ok_or_else(|| D::Error::custom("no state of a container"))
}
