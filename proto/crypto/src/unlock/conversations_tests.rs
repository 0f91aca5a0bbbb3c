//! Payloads with conversations to go on with, and the keys of new ones.
#![allow(clippy::unwrap_used)]

use ocmt_types::{ConversationId, Id as _};

use crate::{CryptoError, datakey::DataKey, transcript::Anchor};

use super::{
    Continued, ConversationKey, InboxItem, MAX_CONTINUED, NEW_CONVERSATIONS, NewConversation, UnlockPayload,
    test_payload::payload,
};

fn id(n: u8) -> ConversationId {
    ConversationId::from_bytes([n; 16])
}

fn key(conversation: ConversationId, key_epoch: u32) -> ConversationKey {
    ConversationKey { conversation, key_epoch, key: DataKey::from_bytes([7; 32]) }
}

fn at(conversation: ConversationId, count: u64) -> Continued {
    let tag = |from: u64| if count > from { [9; 16] } else { [0; 16] };
    Continued { conversation, at: Anchor { count, last_tag: tag(0) }, before_tag: tag(1) }
}

/// The payload of the vectors, going on with its conversation, whose last record has an earlier key.
fn continues() -> UnlockPayload {
    let mut continues = payload(1);
    let conversation = continues.conversations[0].conversation;
    continues.conversations.push(key(conversation, 2));
    continues.continued = vec![at(conversation, 5)];
    continues
}

#[test]
fn a_place_to_go_on_from_travels_in_the_payload_with_two_keys() {
    let sent = continues();
    let bytes = sent.encode();
    let read = UnlockPayload::decode(&bytes).unwrap();
    read.check().unwrap();
    assert_eq!((&read.continued, read.conversations.len()), (&sent.continued, 2));
    assert!(read.may_write.is_empty());
    for len in 0..bytes.len() {
        assert!(UnlockPayload::decode(&bytes[..len]).is_err());
    }
    // one payload has one encoding
    for version in [1, 2] {
        let mut other = bytes.to_vec();
        other[5] = version;
        assert!(UnlockPayload::decode(&other).is_err());
    }
    let mut none = [payload(1).encode().as_slice(), &[0; 8]].concat();
    none[5] = 3;
    assert!(UnlockPayload::decode(&none).is_err(), "nowhere to go on is a lower version");
}

#[test]
fn places_without_a_key_twice_or_unlawful_are_refused() {
    let spoilt: [fn(&mut UnlockPayload); 7] = [
        |p| p.continued.push(p.continued[0]),
        |p| p.continued.push(at(id(0x44), 0)),
        |p| p.conversations.push(key(id(0x22), 2)),
        |p| p.continued.clear(),
        |p| p.continued[0].at = Anchor { count: 0, last_tag: [9; 16] },
        |p| p.continued[0].at.count = 1,
        |p| {
            p.conversations = (0..=64).map(|n| key(id(n), 1)).collect();
            p.continued = (0..=64).map(|n| at(id(n), 0)).collect();
        },
    ];
    continues().check().unwrap();
    for (n, spoil) in spoilt.into_iter().enumerate() {
        let mut spoilt = continues();
        spoil(&mut spoilt);
        assert!(spoilt.check().is_err(), "{n}");
    }
    let mut most = continues();
    most.conversations = (0..64).map(|n| key(id(n), 1)).collect();
    most.continued = (0..64).map(|n| at(id(n), u64::from(n))).collect();
    most.check().unwrap();
    assert_eq!(most.continued.len(), MAX_CONTINUED);
    most.conversations.push(key(id(0), 1));
    assert_eq!(most.check(), Err(CryptoError::Exists("conversation")));
}

#[test]
fn what_is_before_the_last_record_is_known() {
    assert_eq!(at(id(1), 0).before(), Anchor::START);
    assert_eq!(at(id(1), 1).before(), Anchor::START);
    assert_eq!(at(id(1), 2).before(), Anchor { count: 1, last_tag: [9; 16] });
}

#[test]
fn the_key_of_a_new_conversation_is_what_its_item_holds() {
    let new = NewConversation { conversation: id(3), key: DataKey::from_bytes([4; 32]) };
    let item = new.item();
    assert_eq!((item.name.as_str(), item.value.len()), (NEW_CONVERSATIONS, 48));
    let read = NewConversation::of(&item).unwrap();
    assert_eq!((read.conversation, read.key.expose()), (id(3), &[4; 32]));
    for len in [0, 16, 47, 49] {
        let mut value = item.value.clone();
        value.resize(len, 0);
        assert!(NewConversation::of(&InboxItem { name: item.name.clone(), value }).is_none(), "{len}");
    }
    let other = InboxItem { name: "notes".to_owned(), value: item.value };
    assert!(NewConversation::of(&other).is_none());
}
