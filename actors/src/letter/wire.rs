//! Letters and their answers as bytes: one byte of version, then JSON, at most [`MOST`] bytes.
//!
//! JSON, because nodes of two versions talk to each other in a rolling upgrade: a field that one of them
//! does not know is left out, not misread.

use serde::{Serialize, de::DeserializeOwned};

use crate::error::ActorError;

const VERSION: u8 = 1;
/// Most bytes of a letter or an answer. The largest, sealed shares for a guardian, take some hundred KiB.
pub(crate) const MOST: usize = 4 << 20;

/// Something as bytes for another node.
///
/// # Errors
/// [`ActorError::ResourceExhausted`] if it is too large to be carried.
pub(crate) fn encode<T: Serialize>(it: &T) -> Result<Vec<u8>, ActorError> {
    let mut bytes = vec![VERSION];
    // structs of ids, numbers and texts: there is nothing in them that JSON cannot hold
    bytes.extend(serde_json::to_vec(it).unwrap_or_default());
    if bytes.len() > MOST {
        return Err(ActorError::exhausted("LETTER_TOO_LARGE", "a message between nodes has at most 4 MiB"));
    }
    Ok(bytes)
}

/// What another node wrote.
///
/// # Errors
/// [`ActorError::Unavailable`] if this version cannot read it.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ActorError> {
    let unreadable =
        || ActorError::unavailable("LETTER_UNREADABLE", "a message of another version of this program");
    match bytes.split_first() {
        Some((&VERSION, json)) if bytes.len() <= MOST => {
            serde_json::from_slice(json).map_err(|_| unreadable())
        }
        _ => Err(unreadable()),
    }
}

/// Bytes as base64, which takes a third of what a JSON array takes.
pub(crate) mod text {
    use data_encoding::BASE64;
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&BASE64.encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        BASE64.decode(text.as_bytes()).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ocmt_types::{Id as _, MessageId, TenantId};
    use proptest::prelude::*;

    use super::*;
    use crate::letter::{Kind, Post};

    fn post(body: Vec<u8>) -> Kind {
        let (from, message) = (TenantId::from_bytes([1; 16]), MessageId::from_bytes([2; 16]));
        Kind::Post(Post { from, message, kind: "test.echo".to_owned(), body })
    }

    #[test]
    fn a_letter_comes_as_it_went() {
        let letter = post((0..=255).collect());
        assert_eq!(decode::<Kind>(&encode(&letter).unwrap()).unwrap(), letter);
    }

    #[test]
    fn a_letter_is_bounded() {
        assert_eq!(encode(&post(vec![0; MOST])).unwrap_err().reason(), "LETTER_TOO_LARGE");
        let padded = [&encode(&post(Vec::new())).unwrap()[..], &vec![b' '; MOST]].concat();
        assert_eq!(decode::<Kind>(&padded).unwrap_err().reason(), "LETTER_UNREADABLE");
    }

    #[test]
    fn a_letter_of_another_version_is_refused_unread() {
        let mut letter = encode(&post(Vec::new())).unwrap();
        letter[0] = VERSION + 1;
        let error = decode::<Kind>(&letter).unwrap_err();
        assert_eq!(error.reason(), "LETTER_UNREADABLE");
        assert!(error.is_retryable() && !error.outcome_unknown());
    }

    proptest! {
        #[test]
        fn no_bytes_of_another_node_do_harm(mut bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode::<Kind>(&bytes);
            bytes.insert(0, VERSION);
            let _ = decode::<Kind>(&bytes);
        }

        #[test]
        fn no_damage_to_a_letter_does_harm(at in any::<proptest::sample::Index>(), to in any::<u8>()) {
            let mut letter = encode(&post(vec![7; 40])).unwrap();
            let at = at.index(letter.len());
            letter[at] = to;
            let _ = decode::<Kind>(&letter);
        }
    }
}
