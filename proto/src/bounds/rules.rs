//! The tables that `build.rs` makes from the descriptor: what each field of each request takes.

use prost::Name;

use crate::v1::FieldBounds;

/// Most fields in one message; `build.rs` holds the contract to it.
pub(crate) const MAX_FIELDS: usize = 24;

/// A message that a request is or can hold.
#[derive(Debug)]
pub(crate) struct Message {
    /// Full name.
    pub(crate) name: &'static str,
    /// Whether it is some method's request.
    pub(crate) request: bool,
    /// Sorted by number, at most [`MAX_FIELDS`].
    pub(crate) fields: &'static [Field],
}

/// A field and what it takes.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) number: u32,
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) repeated: bool,
    /// Whether an empty or zero value was said on purpose (`optional`, oneof) instead of unset.
    pub(crate) presence: bool,
    pub(crate) bounds: FieldBounds,
}

/// What is on the wire.
#[derive(Debug)]
pub(crate) enum Kind {
    Bool,
    Int32,
    #[allow(dead_code, reason = "no request has one yet")]
    Int64,
    Uint32,
    Uint64,
    /// With its known values.
    Enum(&'static [i32]),
    String,
    Bytes,
    /// With its place in the table.
    Message(usize),
    Duration,
    #[allow(dead_code, reason = "not every version of the contract has one in a request")]
    Timestamp,
    FieldMask,
}

/// The generated tables.
pub(crate) mod tables {
    use super::{Field, FieldBounds, Kind, Message};
    use crate::methods::Method;

    include!(concat!(env!("OUT_DIR"), "/tables.rs"));
}

impl Message {
    /// The message at this place of the table, as [`Kind::Message`] has it.
    pub(crate) fn at(index: usize) -> Option<&'static Self> {
        tables::MESSAGES.get(index)
    }

    /// Place and rules of the field with this number.
    pub(crate) fn field(&self, number: u32) -> Option<(usize, &'static Field)> {
        let at = self.fields.binary_search_by_key(&number, |field| field.number).ok()?;
        Some((at, &self.fields[at]))
    }
}

/// Rules of the message with this full name.
pub(crate) fn named(name: &str) -> Option<&'static Message> {
    let at = tables::MESSAGES.binary_search_by(|message| message.name.cmp(name)).ok()?;
    tables::MESSAGES.get(at)
}

/// Rules of a message that is some method's request.
pub(crate) fn request<M: Name>() -> Option<&'static Message> {
    named(&M::full_name()).filter(|message| message.request)
}
