//! Orders on their way between nodes: bytes that another version of this program can read.
//!
//! One byte of version, then JSON, byte strings in base64. JSON, because two versions meet in a rolling
//! upgrade: a field that one of them does not know is ignored, an order that it does not know is refused as a
//! whole. What an order is answered with travels the same way; errors travel as the errors of all calls do.

use std::time::Duration;

use data_encoding::BASE64;
use ocmt_runtime::ArchiveErrand;
use ocmt_types::{ContainerId, Digest32, Epoch, Incarnation, Ownership, TenantId, UnlockId};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    errand::WireErrand,
    gateway::Way,
    message::{ArchiveOrder, Turn, What},
};
use crate::{
    error::ActorError,
    ports::{CellUnlock, LockReason},
};

const VERSION: u8 = 1;
/// Most bytes of an encoded order that are looked at: an unlock with the largest entries it may map.
pub(crate) const MOST: usize = 32 << 20;

/// What one node sends the host of a container.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Sent {
    /// Something for a container.
    Order(WireOrder),
    /// How the session behind an open channel stands.
    Session(SessionWord),
}

/// An order, with the ownership under which it was admitted.
#[derive(Serialize, Deserialize)]
pub(super) struct WireOrder {
    pub(super) about: About,
    pub(super) what: WireWhat,
}

/// What every order and opening says first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct About {
    tenant: TenantId,
    incarnation: [u8; 16],
    epoch: Epoch,
    pub(super) container: ContainerId,
    /// Orders of one activation count up.
    turn: u64,
    /// How long the caller has waited already, in milliseconds.
    waited_ms: u64,
}

impl About {
    pub(super) fn new(ownership: Ownership, container: ContainerId, turn: Turn, waited: Duration) -> Self {
        Self {
            tenant: ownership.tenant,
            incarnation: ownership.incarnation.0,
            epoch: ownership.epoch,
            container,
            turn: turn.count,
            waited_ms: u64::try_from(waited.as_millis()).unwrap_or(u64::MAX),
        }
    }

    pub(super) fn ownership(&self) -> Ownership {
        Ownership { tenant: self.tenant, incarnation: Incarnation(self.incarnation), epoch: self.epoch }
    }

    pub(super) fn turn(&self) -> Turn {
        Turn { epoch: self.epoch, count: self.turn }
    }

    pub(super) fn waited(&self) -> Duration {
        Duration::from_millis(self.waited_ms)
    }
}

/// What is ordered.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum WireWhat {
    Wake,
    ScheduledWake,
    WakeByOther,
    Key,
    HoldKey {
        keep_ms: u64,
    },
    /// By several together.
    UnlockTogether {
        unlock: UnlockId,
        #[serde(with = "base64")]
        handover: Vec<u8>,
    },
    Unlock {
        unlock: UnlockId,
        #[serde(with = "base64")]
        sealed_payload: Vec<u8>,
        objects: Vec<WireObject>,
    },
    Extend {
        #[serde(with = "base64")]
        extension: Vec<u8>,
    },
    Pause,
    Stop {
        grace_ms: u64,
    },
    Remove,
    Hold,
    Release,
    Report,
    Settle,
    Lock {
        reason: WireReason,
        /// Somebody waits for it.
        asked: bool,
    },
    Explain,
    Connection(WireErrand),
    ArchiveKey {
        errand: ArchiveErrand,
    },
    Archive(ArchiveOrder),
    SnapshotDue,
    Look,
    Doubt,
}

/// One entry handed over with an unlock.
#[derive(Serialize, Deserialize)]
pub(super) struct WireObject {
    id: [u8; 32],
    version: u64,
    #[serde(with = "base64")]
    body: Vec<u8>,
}

/// Why a cell is locked.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum WireReason {
    User,
    Lease,
    Pause,
    Stop,
    Rotated,
}

/// What opens a channel. The plain way goes under a name of its own: a host that does not know it would open a sealed
/// channel.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum AnyOpening {
    Plain { plain: Opening },
    Sealed(Opening),
}

/// The opening of a channel.
#[derive(Serialize, Deserialize)]
pub(super) struct Opening {
    pub(super) about: About,
    /// The session behind it is good for so long, unless more is said.
    pub(super) good_for_ms: u64,
    /// The gateway token of the plain way; an owner of before the cells looked at it sends none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) token: Option<String>,
}

impl AnyOpening {
    pub(super) fn new(way: Way, opening: Opening) -> Self {
        match way {
            Way::Plain => Self::Plain { plain: opening },
            Way::Sealed => Self::Sealed(opening),
        }
    }

    pub(super) fn into_parts(self) -> (Way, Opening) {
        match self {
            Self::Plain { plain } => (Way::Plain, plain),
            Self::Sealed(opening) => (Way::Sealed, opening),
        }
    }
}

/// What an opening is answered with.
#[derive(Serialize, Deserialize)]
pub(super) struct Opened {
    /// By this the session's standing is told.
    pub(super) channel: ChannelId,
    pub(super) wake: crate::api::container::Wake,
}

/// One open channel at its host: 128 random bits that only the opener learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct ChannelId(pub(super) [u8; 16]);

/// How the session behind a channel stands.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct SessionWord {
    pub(super) channel: ChannelId,
    /// It is good for so long unless more is said; none: it is over.
    pub(super) good_for_ms: Option<u64>,
}

impl From<CellUnlock> for WireWhat {
    fn from(unlock: CellUnlock) -> Self {
        if unlock.together {
            return Self::UnlockTogether { unlock: unlock.unlock, handover: unlock.sealed_payload };
        }
        let objects = unlock.objects.into_iter();
        Self::Unlock {
            unlock: unlock.unlock,
            sealed_payload: unlock.sealed_payload,
            objects: objects.map(|(id, version, body)| WireObject { id: id.0, version, body }).collect(),
        }
    }
}

pub(super) fn unlock(unlock: UnlockId, sealed_payload: Vec<u8>, objects: Vec<WireObject>) -> CellUnlock {
    let objects = objects.into_iter();
    CellUnlock {
        unlock,
        sealed_payload,
        together: false,
        objects: objects.map(|object| (Digest32(object.id), object.version, object.body)).collect(),
    }
}

pub(super) fn unlock_together(unlock: UnlockId, handover: Vec<u8>) -> CellUnlock {
    CellUnlock { unlock, sealed_payload: handover, together: true, objects: Vec::new() }
}

impl From<LockReason> for WireReason {
    fn from(reason: LockReason) -> Self {
        match reason {
            LockReason::User => Self::User,
            LockReason::Lease => Self::Lease,
            LockReason::Pause => Self::Pause,
            LockReason::Stop => Self::Stop,
            LockReason::Rotated => Self::Rotated,
        }
    }
}

impl From<WireReason> for LockReason {
    fn from(reason: WireReason) -> Self {
        match reason {
            WireReason::User => Self::User,
            WireReason::Lease => Self::Lease,
            WireReason::Pause => Self::Pause,
            WireReason::Stop => Self::Stop,
            WireReason::Rotated => Self::Rotated,
        }
    }
}

/// As bytes for another node.
pub(super) fn seal<T: Serialize>(value: &T) -> Result<Vec<u8>, ActorError> {
    let mut bytes = vec![VERSION];
    serde_json::to_writer(&mut bytes, value).map_err(|error| unreadable(&error.to_string()))?;
    if bytes.len() > MOST {
        return Err(ActorError::exhausted(
            "ORDER_TOO_LARGE",
            "the order is too large for the container's host",
        ));
    }
    Ok(bytes)
}

/// What another node sent.
///
/// # Errors
/// `ORDER_UNKNOWN` for what this version cannot read: nothing of it was done.
pub(super) fn open<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ActorError> {
    match bytes.split_first() {
        Some((&VERSION, json)) if bytes.len() <= MOST => {
            serde_json::from_slice(json).map_err(|error| unreadable(&error.to_string()))
        }
        Some((&VERSION, _)) => Err(unreadable("it is too long")),
        Some((version, _)) => Err(unreadable(&format!("its version is {version}"))),
        None => Err(unreadable("it is empty")),
    }
}

fn unreadable(why: &str) -> ActorError {
    ActorError::precondition(
        "ORDER_UNKNOWN",
        format!("two nodes do not understand each other ({why}): finish the upgrade of both"),
    )
}

pub(super) mod base64 {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    use super::BASE64;

    pub(in crate::host) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&BASE64.encode(bytes))
    }

    pub(in crate::host) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        BASE64.decode(text.as_bytes()).map_err(D::Error::custom)
    }
}

/// Whether what comes after an order with this may not be overtaken by what was ordered before it.
pub(super) fn is_barrier(what: &What) -> bool {
    matches!(what, What::Lock(..) | What::Stop(..) | What::Hold(_) | What::Remove(_) | What::Pause(_))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ocmt_store::testing::id;
    use proptest::prelude::*;

    use super::*;

    fn about() -> About {
        let ownership = Ownership { tenant: id(1), incarnation: Incarnation([7; 16]), epoch: Epoch(3) };
        About::new(ownership, id(2), Turn { epoch: Epoch(3), count: 9 }, Duration::from_millis(250))
    }

    fn of_a_channel(good_for_ms: u64, token: Option<String>) -> Opening {
        Opening { about: about(), good_for_ms, token }
    }

    #[test]
    fn an_order_comes_as_it_went() {
        let unlock = CellUnlock {
            unlock: id(3),
            sealed_payload: vec![0, 255, 1],
            together: false,
            objects: vec![(Digest32([4; 32]), 5, vec![6; 1000])],
        };
        let sent = Sent::Order(WireOrder { about: about(), what: unlock.into() });
        let Sent::Order(order) = open(&seal(&sent).unwrap()).unwrap() else { panic!("another order") };
        assert_eq!(order.about, about());
        assert_eq!(order.about.turn(), Turn { epoch: Epoch(3), count: 9 });
        let WireWhat::Unlock { unlock, sealed_payload, objects } = order.what else {
            panic!("another order")
        };
        let unlock = super::unlock(unlock, sealed_payload, objects);
        assert_eq!((unlock.unlock, unlock.sealed_payload), (id(3), vec![0, 255, 1]));
        assert_eq!(unlock.objects, [(Digest32([4; 32]), 5, vec![6; 1000])]);
    }

    #[test]
    fn an_unlock_by_several_comes_as_one() {
        let sent = WireWhat::from(unlock_together(id(3), vec![0, 255, 1]));
        let sent = Sent::Order(WireOrder { about: about(), what: sent });
        let Sent::Order(order) = open(&seal(&sent).unwrap()).unwrap() else { panic!("another order") };
        let WireWhat::UnlockTogether { unlock, handover } = order.what else { panic!("another order") };
        assert_eq!((unlock, handover), (id(3), vec![0, 255, 1]));
    }

    #[test]
    fn what_a_newer_version_adds_is_ignored_and_what_it_invents_is_refused() {
        let mut json: serde_json::Value =
            serde_json::from_slice(&seal(&of_a_channel(1, None)).unwrap()[1..]).unwrap();
        json["newer"] = true.into();
        let bytes = [&[VERSION], serde_json::to_vec(&json).unwrap().as_slice()].concat();
        let (way, opening) = open::<AnyOpening>(&bytes).unwrap().into_parts();
        assert_eq!((way, opening.good_for_ms), (Way::Sealed, 1));
        // a host of before the plain way reads an `Opening`, and refuses what it would misunderstand
        let plain = AnyOpening::new(Way::Plain, of_a_channel(2, Some("v4.public.x".to_owned())));
        let bytes = seal(&plain).unwrap();
        assert_eq!(open::<Opening>(&bytes).err().unwrap().reason(), "ORDER_UNKNOWN");
        let (way, opening) = open::<AnyOpening>(&bytes).unwrap().into_parts();
        assert_eq!((way, opening.good_for_ms), (Way::Plain, 2));
        assert_eq!(opening.token.as_deref(), Some("v4.public.x"));
        let unknown = [&[VERSION], br#"{"dance":{}}"#.as_slice()].concat();
        assert_eq!(open::<Sent>(&unknown).err().unwrap().reason(), "ORDER_UNKNOWN");
        assert_eq!(open::<Sent>(&[2, b'{', b'}']).err().unwrap().reason(), "ORDER_UNKNOWN");
        assert_eq!(open::<Sent>(&[]).err().unwrap().reason(), "ORDER_UNKNOWN");
    }

    #[test]
    fn what_is_too_large_is_not_sent() {
        let sent = WireWhat::Extend { extension: vec![0; MOST] };
        assert_eq!(seal(&sent).err().unwrap().reason(), "ORDER_TOO_LARGE");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = open::<Sent>(&bytes);
            let _ = open::<Opening>(&[&[VERSION], bytes.as_slice()].concat());
        }
    }
}
