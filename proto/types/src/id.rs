//! Typed ids: a `TenantId` is never taken for a `UserId`, and every id is made by an injected [`IdGen`].
//!
//! Ids are 128 random bits, written as a lower-case hyphenated UUID (version 4). Parsing is strict:
//! only that form is taken, so that one object has one name.

use std::{fmt, str::FromStr};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// The text is not a lower-case hyphenated UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a lower-case hyphenated UUID")]
pub struct ParseIdError;

/// What all typed ids share.
pub trait Id: Copy + Ord + Send + Sync + 'static {
    /// The id of these 16 bytes.
    fn from_bytes(bytes: [u8; 16]) -> Self;
    /// The 16 bytes of this id.
    fn into_bytes(self) -> [u8; 16];
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// The 16 bytes of this id.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl Id for $name {
            fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }
            fn into_bytes(self) -> [u8; 16] {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&Uuid::from_bytes(self.0).hyphenated(), f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                parse(text).map(Self)
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = ParseIdError;
            fn try_from(bytes: &[u8]) -> Result<Self, ParseIdError> {
                bytes.try_into().map(Self).map_err(|_| ParseIdError)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                <std::borrow::Cow<'de, str>>::deserialize(d)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}

ids! {
    /// The isolation boundary: users, groups, vaults and containers of one customer.
    TenantId,
    /// One person in one tenant.
    UserId,
    /// A group of users inside one tenant.
    GroupId,
    /// Something that lies under a group's permissions.
    ResourceId,
    /// A sign-in session.
    SessionId,
    /// A program's token.
    ProgramTokenId,
    /// Entries that one person gave another.
    ShareId,
    /// What somebody asks for of an entry.
    CapabilityId,
    /// A sender on a channel who waits to be let through.
    PairingId,
    /// A sender on a channel who was let through.
    SenderId,
    /// A long-lived credential of a program.
    ApiKeyId,
    /// A second factor that is being set up, or a passkey that is asked for.
    EnrollmentId,
    /// A passkey of a user.
    PasskeyId,
    /// A vault of a user or a group.
    VaultId,
    /// One way to open a vault.
    SlotId,
    /// One rotation of a vault's keys, from its begin to its finish.
    RotationId,
    /// One hand-out of a vault's key slots, that a proof of unlocking answers.
    HandoutId,
    /// A drill challenge to a guardian.
    ChallengeId,
    /// A container with its volume.
    ContainerId,
    /// A schedule by which a container wakes.
    ScheduleId,
    /// An encrypted copy of a container's volume.
    SnapshotId,
    /// One unlock of a cell, from the payload taken to the lock.
    UnlockId,
    /// A container's connection to somebody else's service.
    ConnectionId,
    /// One asking of a service's user for a connection, from the address they open to the code that comes back.
    AuthorizationId,
    /// One sealed channel between a client and a cell; used once.
    ChannelId,
    /// A talk with the agent, kept as an encrypted transcript.
    ConversationId,
    /// A set of guardians dealt by one owner at one time.
    GuardianSetId,
    /// The tie between one guardian and one owner's vault.
    GuardianshipId,
    /// An operator of the cluster, by certificate.
    OperatorId,
    /// A destructive act of an operator, from its first step to its end.
    ActId,
    /// A message between two tenants.
    MessageId,
    /// A notice to a person on a verified channel.
    NoticeId,
    /// A place where alerts of a tenant go.
    AlertChannelId,
    /// An invitation to a tenant.
    InviteId,
    /// A durable timer.
    TimerId,
    /// One request at the edge, named in answers, logs and audit records.
    RequestId,
    /// A node of the cluster.
    NodeId,
    /// The cluster itself.
    ClusterId,
}

/// Entry ids, ceremony ids and set hashes are 32 bytes that clients compute (HMAC or SHA-256).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest32(pub [u8; 32]);

impl Digest32 {
    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Digest32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest32({self})")
    }
}

impl TryFrom<&[u8]> for Digest32 {
    type Error = ParseIdError;
    fn try_from(bytes: &[u8]) -> Result<Self, ParseIdError> {
        bytes.try_into().map(Self).map_err(|_| ParseIdError)
    }
}

/// Where ids come from. Injected, so that a simulation repeats itself.
pub trait IdGen: Send + Sync {
    /// 16 random bytes.
    fn random16(&self) -> [u8; 16];
}

impl dyn IdGen + '_ {
    /// A fresh id: a version-4 UUID.
    pub fn id<I: Id>(&self) -> I {
        I::from_bytes(uuid::Builder::from_random_bytes(self.random16()).into_uuid().into_bytes())
    }
}

/// Ids from the operating system's generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct RandomIds;

impl IdGen for RandomIds {
    fn random16(&self) -> [u8; 16] {
        rand::random()
    }
}

/// The same ids for the same seed: for simulations and tests.
#[derive(Debug)]
pub struct SeededIds(std::sync::Mutex<StdRng>);

impl SeededIds {
    /// A generator that repeats itself for `seed`.
    pub fn new(seed: u64) -> Self {
        Self(std::sync::Mutex::new(StdRng::seed_from_u64(seed)))
    }
}

impl IdGen for SeededIds {
    fn random16(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).fill_bytes(&mut bytes);
        bytes
    }
}

fn parse(text: &str) -> Result<[u8; 16], ParseIdError> {
    let id = Uuid::try_parse(text).map_err(|_| ParseIdError)?;
    let mut buffer = Uuid::encode_buffer();
    if id.hyphenated().encode_lower(&mut buffer) != text {
        return Err(ParseIdError);
    }
    Ok(id.into_bytes())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_the_canonical_text_is_an_id() {
        let ids: &dyn IdGen = &RandomIds;
        let id: TenantId = ids.id();
        let text = id.to_string();
        assert_eq!(text.parse::<TenantId>().unwrap(), id);
        for bad in [
            text.to_uppercase(),
            text.replace('-', ""),
            format!("{{{text}}}"),
            format!("urn:uuid:{text}"),
            format!(" {text}"),
            String::new(),
        ] {
            assert!(bad.parse::<TenantId>().is_err() || bad == text, "{bad} was taken");
        }
    }

    #[test]
    fn seeded_ids_repeat() {
        let (a, b) = (SeededIds::new(7), SeededIds::new(7));
        let (a, b): (&dyn IdGen, &dyn IdGen) = (&a, &b);
        assert_eq!(a.id::<UserId>(), b.id::<UserId>());
        assert_ne!(a.id::<UserId>(), RandomIds.random16().as_slice().try_into().unwrap());
    }
}
