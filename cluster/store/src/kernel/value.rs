//! What a column can hold, and how a typed field becomes it.
//!
//! Only what both databases share: 64-bit integers, text and bytes. Ids are 16 bytes, digests 32, times
//! milliseconds since the Unix epoch, `bool` 0 or 1, small enums their text.

use ocmt_types::{
    ActId, AlertChannelId, ApiKeyId, AuthorizationId, CapabilityId, ChannelId, ClusterId, ConnectionId,
    ContainerId, ConversationId, Digest32, EnrollmentId, Epoch, GroupId, GuardianSetId, GuardianshipId,
    HandoutId, Incarnation, InviteId, MessageId, NodeId, NoticeId, OperatorId, PairingId, PasskeyId,
    ProgramTokenId, RequestId, ResourceId, RotationId, ScheduleId, SenderId, SessionId, ShareId, SlotId,
    SnapshotId, TenantId, TimerId, Timestamp, UnlockId, UserId, VaultId,
};

/// One value of one column. The order is that of the databases: NULL first, bytes by unsigned value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// Nothing.
    Null,
    /// A 64-bit integer.
    Int(i64),
    /// Text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `INTEGER` in SQLite, `BIGINT` in PostgreSQL.
    Int,
    /// `TEXT` in both.
    Text,
    /// `BLOB` in SQLite, `BYTEA` in PostgreSQL.
    Blob,
}

/// A Rust type that fits in one column.
pub trait Field: Sized + Clone + Send + Sync + 'static {
    /// The column's type.
    const KIND: Kind;
    /// Whether the column takes NULL.
    const NULLABLE: bool = false;
    /// The value to store.
    fn to_value(&self) -> Value;
    /// The field back from a stored value; `None` if the value is not one of this type.
    fn from_value(value: Value) -> Option<Self>;
}

impl Field for i64 {
    const KIND: Kind = Kind::Int;
    fn to_value(&self) -> Value {
        Value::Int(*self)
    }
    fn from_value(value: Value) -> Option<Self> {
        if let Value::Int(int) = value { Some(int) } else { None }
    }
}

impl Field for bool {
    const KIND: Kind = Kind::Int;
    fn to_value(&self) -> Value {
        Value::Int(i64::from(*self))
    }
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Int(0) => Some(false),
            Value::Int(1) => Some(true),
            _ => None,
        }
    }
}

impl Field for String {
    const KIND: Kind = Kind::Text;
    fn to_value(&self) -> Value {
        Value::Text(self.clone())
    }
    fn from_value(value: Value) -> Option<Self> {
        if let Value::Text(text) = value { Some(text) } else { None }
    }
}

impl Field for Vec<u8> {
    const KIND: Kind = Kind::Blob;
    fn to_value(&self) -> Value {
        Value::Blob(self.clone())
    }
    fn from_value(value: Value) -> Option<Self> {
        if let Value::Blob(bytes) = value { Some(bytes) } else { None }
    }
}

impl<T: Field> Field for Option<T> {
    const KIND: Kind = T::KIND;
    const NULLABLE: bool = true;
    fn to_value(&self) -> Value {
        self.as_ref().map_or(Value::Null, Field::to_value)
    }
    fn from_value(value: Value) -> Option<Self> {
        if value == Value::Null { Some(None) } else { T::from_value(value).map(Some) }
    }
}

macro_rules! integers {
    ($($name:ident),+) => {$(
        impl Field for $name {
            const KIND: Kind = Kind::Int;
            fn to_value(&self) -> Value {
                Value::Int(self.0)
            }
            fn from_value(value: Value) -> Option<Self> {
                i64::from_value(value).map(Self)
            }
        }
    )+};
}

integers!(Timestamp, Epoch);

macro_rules! ids {
    ($($name:ident),+ $(,)?) => {$(
        impl Field for $name {
            const KIND: Kind = Kind::Blob;
            fn to_value(&self) -> Value {
                Value::Blob(self.as_bytes().to_vec())
            }
            fn from_value(value: Value) -> Option<Self> {
                if let Value::Blob(bytes) = value { Self::try_from(bytes.as_slice()).ok() } else { None }
            }
        }
    )+};
}

ids!(
    ActId,
    OperatorId,
    ApiKeyId,
    CapabilityId,
    HandoutId,
    RotationId,
    ChannelId,
    ClusterId,
    ContainerId,
    ConversationId,
    Digest32,
    EnrollmentId,
    PasskeyId,
    GroupId,
    GuardianSetId,
    GuardianshipId,
    InviteId,
    MessageId,
    AuthorizationId,
    ConnectionId,
    NodeId,
    AlertChannelId,
    NoticeId,
    PairingId,
    ProgramTokenId,
    RequestId,
    ResourceId,
    ScheduleId,
    SnapshotId,
    SenderId,
    SessionId,
    ShareId,
    SlotId,
    TenantId,
    TimerId,
    UnlockId,
    UserId,
    VaultId,
);

impl Field for Incarnation {
    const KIND: Kind = Kind::Blob;
    fn to_value(&self) -> Value {
        Value::Blob(self.0.to_vec())
    }
    fn from_value(value: Value) -> Option<Self> {
        if let Value::Blob(bytes) = value { bytes.try_into().ok().map(Self) } else { None }
    }
}

/// Declares a small enum that is stored as text. The texts are part of the schema: never change one.
#[macro_export]
macro_rules! text_enum {
    ($($(#[$doc:meta])* pub enum $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$vdoc])* $variant),+
        }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The stored text.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text),+
                }
            }

            /// The value with this stored text.
            pub fn parse(text: &str) -> Option<Self> {
                match text {
                    $($text => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl $crate::kernel::value::Field for $name {
            const KIND: $crate::kernel::value::Kind = $crate::kernel::value::Kind::Text;
            fn to_value(&self) -> $crate::kernel::value::Value {
                $crate::kernel::value::Value::Text(self.as_str().to_owned())
            }
            fn from_value(value: $crate::kernel::value::Value) -> Option<Self> {
                if let $crate::kernel::value::Value::Text(text) = value { Self::parse(&text) } else { None }
            }
        }
    )+};
}
