//! What an old vault holds, as entries of a new one.
//!
//! Values that were JSON stay the bytes they were: nothing is read and written again on the way, where a
//! number could lose its last digit.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use unicode_normalization::UnicodeNormalization as _;
use zeroize::{Zeroize as _, Zeroizing};

use crate::{CryptoError, Result, entry::EntryName, manifest::MAX_OBJECTS};

use super::{
    MAX_FILE,
    json::{self, Most},
};

/// The most items: as many as a vault has entries.
pub(super) const MAX_ITEMS: usize = MAX_OBJECTS - 1;
/// The largest content. It is authenticated before it is read; a million values are some hundred megabytes.
const CONTENT: Most = Most { bytes: MAX_FILE, values: 1_000_000 };
/// The longest part of a name that comes from the old vault, in bytes.
const MAX_PART: usize = 100;

/// What an item was in the old vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ItemKind {
    /// A key for a service.
    Credential,
    /// Something an agent remembered.
    Memory,
    /// A conversation, as JSON.
    Conversation,
    /// A file, as JSON.
    File,
    /// A field of a database.
    Field,
}

impl ItemKind {
    /// What it is called, and what the names of its entries begin with.
    pub const fn folder(self) -> &'static str {
        match self {
            Self::Credential => "credentials",
            Self::Memory => "memory",
            Self::Conversation => "conversations",
            Self::File => "files",
            Self::Field => "fields",
        }
    }
}

/// One thing of an old vault, to be an entry.
pub struct Item {
    /// What it was.
    pub kind: ItemKind,
    /// The entry's name; none is there twice.
    pub name: EntryName,
    /// The entry's value, of any length.
    pub value: Zeroizing<Vec<u8>>,
}

/// Takes the content of an old vault apart.
pub(super) fn items(content: &[u8]) -> Result<Vec<Item>> {
    let value = Wiped(json::read(content, CONTENT)?);
    let text = std::str::from_utf8(content).map_err(|_| CryptoError::Refused)?;
    let Value::Object(all) = &value.0 else { return Err(CryptoError::Refused) };
    let texts = pieces(text).into_iter().map(member).collect::<Result<Vec<_>>>()?;
    let text_of = |name: &str| {
        let found = texts.iter().find(|(known, _)| known.as_str() == name);
        found.map(|(_, text)| *text).ok_or(CryptoError::Refused)
    };
    let mut taken = Names::default();
    if all.len() != 4 {
        return Err(CryptoError::Refused);
    }
    for kind in [ItemKind::Credential, ItemKind::Conversation, ItemKind::File] {
        let (Some(Value::Array(list)), text) = (all.get(kind.folder()), text_of(kind.folder())?) else {
            return Err(CryptoError::Refused);
        };
        for (at, (item, text)) in list.iter().zip(pieces(text)).enumerate() {
            taken.take(kind, &called(kind, item, at + 1), content_of(kind, item, text))?;
        }
    }
    let (Some(Value::Object(memory)), text) = (all.get("memory"), text_of("memory")?) else {
        return Err(CryptoError::Refused);
    };
    for piece in pieces(text) {
        let (name, text) = member(piece)?;
        // a new vault had `{}` and `[]` here: nothing was remembered
        if memory.get(name.as_str()).is_some_and(|value| !is_empty(value)) {
            taken.take(ItemKind::Memory, &[name.to_string()], text)?;
        }
    }
    Ok(taken.items)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

/// The key itself of a credential that is a key and nothing else; all that was there of anything else.
fn content_of<'a>(kind: ItemKind, item: &'a Value, text: &'a str) -> &'a str {
    let plain = |map: &Map<String, Value>| {
        map.iter().all(|(name, value)| {
            value.is_string() && ["id", "provider", "label", "apiKey"].contains(&name.as_str())
        })
    };
    match item {
        Value::Object(map) if kind == ItemKind::Credential && plain(map) => {
            map.get("apiKey").and_then(Value::as_str).unwrap_or(text)
        }
        _ => text,
    }
}

/// The parts of a name: what a person called it, else its id, else its place in the list.
fn called(kind: ItemKind, item: &Value, at: usize) -> Vec<String> {
    let text = |name: &str| item.get(name).and_then(Value::as_str).map(str::to_owned);
    let names: &[&str] = match kind {
        ItemKind::Credential => &["provider", "label"],
        ItemKind::Conversation => &["title"],
        ItemKind::File => &["name"],
        ItemKind::Memory | ItemKind::Field => &[],
    };
    let mut parts: Vec<String> = names.iter().filter_map(|name| text(name)).collect();
    parts.retain(|part| !clean(part).is_empty());
    if parts.is_empty() {
        parts.push(text("id").filter(|id| !clean(id).is_empty()).unwrap_or_else(|| at.to_string()));
    }
    parts
}

/// A part of a name: NFC, no control characters, not too long.
fn clean(part: &str) -> String {
    let mut clean: String = part.nfc().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    clean.truncate(clean.floor_char_boundary(MAX_PART));
    clean.trim().to_owned()
}

/// Items with names that are told apart: the second of one name is `name (2)`.
#[derive(Default)]
pub(super) struct Names {
    taken: BTreeSet<EntryName>,
    /// The last number that a name was given, so that many of one name are not counted from 2 again.
    again: BTreeMap<EntryName, u32>,
    pub(super) items: Vec<Item>,
}

impl Names {
    pub(super) fn take(&mut self, kind: ItemKind, parts: &[String], value: &str) -> Result<()> {
        if self.items.len() >= MAX_ITEMS {
            return Err(CryptoError::Refused);
        }
        let parts: Vec<String> = parts.iter().map(|part| clean(part)).collect();
        let base = EntryName::new(&format!("{}/{}", kind.folder(), parts.join("/")))?;
        let mut name = base.clone();
        while !self.taken.insert(name.clone()) {
            let again = self.again.entry(base.clone()).or_insert(1);
            *again += 1;
            name = EntryName::new(&format!("{} ({again})", base.expose()))?;
        }
        self.items.push(Item { kind, name, value: Zeroizing::new(value.as_bytes().to_vec()) });
        Ok(())
    }
}

/// The texts of the items of an array or the members of an object. The text is known to be JSON.
fn pieces(text: &str) -> Vec<&str> {
    let inner = text.trim();
    let inner = inner.get(1..inner.len().saturating_sub(1)).unwrap_or_default();
    let (mut pieces, mut start, mut depth, mut quoted, mut escaped) = (Vec::new(), 0, 0_u32, false, false);
    for (at, byte) in inner.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                pieces.push(inner[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    let last = inner[start..].trim();
    if !last.is_empty() {
        pieces.push(last);
    }
    pieces
}

/// The name of a member and the text of its value.
fn member(piece: &str) -> Result<(Zeroizing<String>, &str)> {
    let mut escaped = false;
    let end = piece.bytes().enumerate().skip(1).find(|(_, byte)| {
        let ends = !escaped && *byte == b'"';
        escaped = !escaped && *byte == b'\\';
        ends
    });
    let (name, rest) = end.and_then(|(at, _)| piece.split_at_checked(at + 1)).ok_or(CryptoError::Refused)?;
    let name = serde_json::from_str(name).map_err(|_| CryptoError::Refused)?;
    let value = rest.trim_start().strip_prefix(':').ok_or(CryptoError::Refused)?;
    Ok((Zeroizing::new(name), value.trim()))
}

/// Parsed content, whose texts are wiped when dropped.
struct Wiped(Value);

impl Drop for Wiped {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(list) => list.iter_mut().for_each(wipe),
        Value::Object(map) => map.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    /// JSON with every kind of bracket, quote and escape in its texts.
    fn anything() -> impl Strategy<Value = Value> {
        let text = "[\\[\\]{},:\"\\\\ a\u{e9}\n]{0,8}";
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            text.prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::btree_map(text, inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_text_is_taken_apart_where_its_value_is(value in anything(), pretty in any::<bool>()) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            let text = text.unwrap();
            match value {
                Value::Array(list) => {
                    let read = pieces(&text).into_iter().map(|piece| serde_json::from_str(piece).unwrap());
                    prop_assert_eq!(read.collect::<Vec<Value>>(), list);
                }
                Value::Object(map) => {
                    let read = pieces(&text).into_iter().map(|piece| {
                        let (name, value) = member(piece).unwrap();
                        (name.to_string(), serde_json::from_str(value).unwrap())
                    });
                    prop_assert_eq!(read.collect::<Map<String, Value>>(), map);
                }
                _ => {}
            }
        }
    }

    fn shown(content: &str) -> Vec<(String, String)> {
        let text = |item: &Item| String::from_utf8(item.value.to_vec()).unwrap();
        items(content.as_bytes())
            .unwrap()
            .iter()
            .map(|item| (item.name.expose().into(), text(item)))
            .collect()
    }

    #[test]
    fn everything_comes_in_as_it_was_written_under_a_name_of_its_own() {
        let content = r#"{ "files" : [{"name":"a/b.txt","data":"YQ=="}, 7], "conversations":[{"title":"x\n\u0041, {","n":0.1000000000000000055}],
            "memory": {"facts":["f, ]"], "k\"\\:y": {"a":1e400000000000000000000000000001}, "empty":[], "none":null},
            "credentials":[{"id":"1","provider":"p","label":"l","apiKey":"k\"1"},{"provider":"p","label":"l","apiKey":"k2"},
                {"id":"3","provider":"p","label":"\u0007","token":{"a":[1,2]}}, {"id":"9"}, {}] }"#;
        // a number that no reader of JSON takes is none
        assert!(items(content.as_bytes()).is_err());
        let content = content.replace("1e400000000000000000000000000001", "12345678901234567890.25");
        let expected = [
            ("credentials/p/l", "k\"1"),
            ("credentials/p/l (2)", "k2"),
            ("credentials/p", r#"{"id":"3","provider":"p","label":"\u0007","token":{"a":[1,2]}}"#),
            ("credentials/9", r#"{"id":"9"}"#),
            ("credentials/5", "{}"),
            ("conversations/x A, {", r#"{"title":"x\n\u0041, {","n":0.1000000000000000055}"#),
            ("files/a/b.txt", r#"{"name":"a/b.txt","data":"YQ=="}"#),
            ("files/2", "7"),
            ("memory/facts", r#"["f, ]"]"#),
            ("memory/k\"\\:y", r#"{"a":12345678901234567890.25}"#),
        ];
        let shown = shown(&content);
        let shown: Vec<(&str, &str)> = shown.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(shown, expected);
    }

    #[test]
    fn long_and_strange_labels_become_names() {
        let long = "\u{1d160}".repeat(2_000);
        let one = format!(
            r#"{{"credentials":[{{"provider":"{long}","label":"{long}"}},{{"provider":"{long}","label":"{long}"}}],"memory":{{"":1}},"conversations":[],"files":[]}}"#
        );
        let names: Vec<String> = shown(&one).into_iter().map(|(name, _)| name).collect();
        assert!(names[0].len() <= 255 && names[1] == format!("{} (2)", names[0]));
        assert_eq!(names[2], "memory/");
    }

    #[test]
    fn content_of_another_form_is_refused() {
        let good = r#"{"credentials":[],"memory":{},"conversations":[],"files":[]}"#;
        assert!(items(good.as_bytes()).unwrap().is_empty());
        for bad in [
            "",
            "[]",
            "{}",
            r#"{"credentials":[],"memory":{},"conversations":[]}"#,
            r#"{"credentials":[],"memory":{},"conversations":[],"files":[],"more":[]}"#,
            r#"{"credentials":[],"memory":{},"conversations":[],"files":[],"files":[]}"#,
            r#"{"credentials":{},"memory":{},"conversations":[],"files":[]}"#,
            r#"{"credentials":[],"memory":[],"conversations":[],"files":[]}"#,
            r#"{"credentials":[{"a":1,"a":2}],"memory":{},"conversations":[],"files":[]}"#,
            r#"{"credentials":[],"memory":{},"conversations":[],"files":[]} {}"#,
        ] {
            assert!(items(bad.as_bytes()).is_err(), "{bad} is taken");
        }
        let deep = good.replace(
            "\"memory\":{}",
            &format!("\"memory\":{{\"a\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000)),
        );
        assert!(items(deep.as_bytes()).is_err());
    }

    #[test]
    fn many_items_of_one_name_are_told_apart_and_more_than_a_vault_has_are_refused() {
        let content = |count: usize| {
            let list = vec!["{}"; count].join(",");
            format!(r#"{{"credentials":[],"memory":{{}},"conversations":[],"files":[{list}]}}"#)
                .replace("{}", r#"{"name":"n"}"#)
                .replace(r#""memory":{"name":"n"}"#, r#""memory":{}"#)
        };
        let names = shown(&content(MAX_ITEMS));
        assert_eq!((names.len(), names[9_999].0.as_str()), (10_000, "files/n (10000)"));
        assert!(items(content(MAX_ITEMS + 1).as_bytes()).is_err());
    }
}
