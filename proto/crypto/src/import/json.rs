//! JSON as strictly as our own formats: no member twice, none missing, none more, bytes in the one base64 they have.

use std::{cell::Cell, fmt};

use data_encoding::BASE64;
use serde::{
    Deserializer,
    de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};
use zeroize::Zeroizing;

use crate::{CryptoError, Result, aead::Cipher};

/// A time as the files write it: `2026-11-22T11:14:20.252Z`.
const TIME: &str = "%Y-%m-%dT%H:%M:%S.%3fZ";

/// Reads a value in which no object has a member twice (two readers could take two different ones), and which has
/// no more values in it than are left: a parsed value is some hundred times its text.
struct Strict<'a>(&'a Cell<usize>);

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        let left = self.0.get().checked_sub(1).ok_or_else(|| D::Error::custom("too many values"))?;
        self.0.set(left);
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("JSON without a member twice")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("no number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Strict(self.0))? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if map.insert(name, members.next_value_seed(Strict(self.0))?).is_some() {
                return Err(A::Error::custom("a member twice"));
            }
        }
        Ok(Value::Object(map))
    }
}

/// The most that is read of one text.
#[derive(Clone, Copy)]
pub(super) struct Most {
    pub(super) bytes: usize,
    /// Values, those inside of others included.
    pub(super) values: usize,
}

/// Reads a text to its end.
pub(super) fn read(text: &[u8], most: Most) -> Result<Value> {
    if text.len() > most.bytes {
        return Err(CryptoError::Refused);
    }
    let mut reader = serde_json::Deserializer::from_slice(text);
    let left = Cell::new(most.values);
    let value = Strict(&left).deserialize(&mut reader).map_err(|_| CryptoError::Refused)?;
    reader.end().map_err(|_| CryptoError::Refused)?;
    Ok(value)
}

/// An object that has exactly the members its format gives it.
pub(super) struct Object(Map<String, Value>);

impl Object {
    pub(super) fn exactly(value: Value, names: &[&str]) -> Result<Self> {
        match value {
            Value::Object(map)
                if map.len() == names.len() && names.iter().all(|name| map.contains_key(*name)) =>
            {
                Ok(Self(map))
            }
            _ => Err(CryptoError::Refused),
        }
    }

    pub(super) fn value(&mut self, name: &str) -> Result<Value> {
        self.0.remove(name).ok_or(CryptoError::Refused)
    }

    pub(super) fn object(&mut self, name: &str, names: &[&str]) -> Result<Self> {
        Self::exactly(self.value(name)?, names)
    }

    pub(super) fn text(&mut self, name: &str) -> Result<Zeroizing<String>> {
        match self.value(name)? {
            Value::String(text) => Ok(Zeroizing::new(text)),
            _ => Err(CryptoError::Refused),
        }
    }

    pub(super) fn number(&mut self, name: &str) -> Result<u32> {
        let number = self.value(name)?.as_u64().and_then(|number| u32::try_from(number).ok());
        number.ok_or(CryptoError::Refused)
    }

    /// Holds a member against the one value it may have.
    pub(super) fn is(&mut self, name: &str, lawful: &Value) -> Result<()> {
        if self.value(name)? == *lawful { Ok(()) } else { Err(CryptoError::Refused) }
    }

    pub(super) fn bytes(&mut self, name: &str) -> Result<Vec<u8>> {
        BASE64.decode(self.text(name)?.as_bytes()).map_err(|_| CryptoError::Refused)
    }

    pub(super) fn fixed<const N: usize>(&mut self, name: &str) -> Result<[u8; N]> {
        self.bytes(name)?.try_into().map_err(|_| CryptoError::Refused)
    }

    /// A time in the one form that the files have.
    pub(super) fn time(&mut self, name: &str) -> Result<jiff::Timestamp> {
        let text = self.text(name)?;
        let time: jiff::Timestamp = text.parse().map_err(|_| CryptoError::Refused)?;
        if time.strftime(TIME).to_string() == *text { Ok(time) } else { Err(CryptoError::Refused) }
    }

    /// A ciphertext with its 12-byte nonce and its 16-byte tag, as three members of these names.
    pub(super) fn sealed(&mut self, nonce: &str, tag: &str, ciphertext: &str) -> Result<Sealed> {
        let ciphertext = self.bytes(ciphertext)?;
        self.sealed_with(nonce, tag, &ciphertext)
    }

    /// The same where the ciphertext stands elsewhere.
    pub(super) fn sealed_with(&mut self, nonce: &str, tag: &str, ciphertext: &[u8]) -> Result<Sealed> {
        let (nonce, tag) = (self.fixed(nonce)?, self.fixed::<16>(tag)?);
        Ok(Sealed { nonce, sealed: [ciphertext, &tag].concat() })
    }
}

/// AES-256-GCM without associated data.
#[derive(PartialEq, Eq)]
pub(super) struct Sealed {
    nonce: [u8; 12],
    sealed: Vec<u8>,
}

impl Sealed {
    pub(super) fn open(&self, key: &[u8; 32]) -> Result<Zeroizing<Vec<u8>>> {
        Cipher::aes(key).open(&self.nonce, b"", &self.sealed).map(Into::into)
    }

    pub(super) fn len(&self) -> usize {
        self.sealed.len()
    }
}
