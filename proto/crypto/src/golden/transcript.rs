//! A conversation of three records, re-keyed before the last.

use ocmt_types::{ConversationId, Id as _, TenantId};
use rand::rngs::StdRng;
use serde_json::{Value, json};

use crate::{
    datakey::DataKey,
    transcript::{ConversationPlace, TranscriptReader, TranscriptWriter},
};

use super::{array, hex, list};

const SAID: [&[u8]; 3] = [b"first", b"", b"the last"];

fn place() -> ConversationPlace {
    ConversationPlace {
        tenant: TenantId::from_bytes([1; 16]),
        conversation: ConversationId::from_bytes([2; 16]),
    }
}

pub(super) fn make(rng: &mut StdRng) -> Value {
    let (first, second) = (DataKey::generate(rng), DataKey::generate(rng));
    let mut writer = TranscriptWriter::begin(place(), 1, first.duplicate());
    let mut records: Vec<_> = SAID[..2].iter().map(|said| writer.append(said, false, rng).unwrap()).collect();
    let anchor = writer.anchor();
    let keys = [(1, first.duplicate()), (2, second.duplicate())];
    let mut reader = TranscriptReader::new(place(), keys);
    records.iter().for_each(|record| drop(reader.next(record).unwrap()));
    records.push(TranscriptWriter::resume(&reader).unwrap().append(SAID[2], true, rng).unwrap());
    json!({
        "tenant": hex(place().tenant.as_bytes()),
        "conversation": hex(place().conversation.as_bytes()),
        "key_of_epoch_1": hex(first.expose()),
        "key_of_epoch_2": hex(second.expose()),
        "said": SAID.map(hex),
        "records": records.iter().map(hex).collect::<Vec<_>>(),
        "tag_after_two_records": hex(anchor.last_tag),
    })
}

pub(super) fn check(v: &Value) {
    let keys = [
        (1, DataKey::from_bytes(array(v, "key_of_epoch_1"))),
        (2, DataKey::from_bytes(array(v, "key_of_epoch_2"))),
    ];
    let mut reader = TranscriptReader::new(place(), keys);
    let said: Vec<_> =
        list(v, "records").iter().map(|record| reader.next(record).unwrap().to_vec()).collect();
    assert_eq!(said, list(v, "said"));
    assert!(reader.is_finished());
}
