//! The walk over an encoded request.

use std::fmt::Write as _;

use super::{
    FieldViolation, MAX_VIOLATIONS,
    rules::{Field, Kind, MAX_FIELDS, Message},
    values::{self, Complaint},
    wire::{self, Malformed, Raw},
};

/// Deepest nesting of messages in a request; the contract has five.
const MAX_DEPTH: usize = 16;

/// Collects what is wrong.
#[derive(Debug, Default)]
pub(super) struct Checker {
    pub(super) violations: Vec<FieldViolation>,
}

/// Where the walk is; rendered only when something is wrong.
struct Place<'a> {
    parent: Option<&'a Place<'a>>,
    name: &'static str,
    /// Element of a repeated field.
    index: Option<u32>,
}

impl Place<'_> {
    fn render(&self) -> String {
        let mut path =
            self.parent.map(Place::render).filter(|path| !path.is_empty()).map_or(String::new(), |p| p + ".");
        path.push_str(self.name);
        if let Some(index) = self.index {
            let _ = write!(path, "[{index}]");
        }
        path
    }
}

impl Checker {
    /// Checks a whole request.
    pub(super) fn request(&mut self, rules: &'static Message, bytes: &[u8]) {
        if self.message(rules, bytes, None, 0).is_err() {
            self.violations = vec![FieldViolation::malformed()];
        }
    }

    fn message(
        &mut self,
        rules: &'static Message,
        mut bytes: &[u8],
        parent: Option<&Place<'_>>,
        depth: usize,
    ) -> Result<(), Malformed> {
        if depth > MAX_DEPTH {
            return Err(Malformed);
        }
        let mut seen = [0_u32; MAX_FIELDS];
        let mut set = [false; MAX_FIELDS];
        while !bytes.is_empty() && self.violations.len() < MAX_VIOLATIONS {
            let (number, raw) = wire::field(&mut bytes)?;
            let Some((at, field)) = rules.field(number) else { continue };
            match (raw, &field.kind) {
                // numbers of a repeated field come packed, and count one by one
                (
                    Raw::Len(mut packed),
                    Kind::Bool | Kind::Int32 | Kind::Int64 | Kind::Uint32 | Kind::Uint64 | Kind::Enum(_),
                ) if field.repeated => {
                    while !packed.is_empty() && self.violations.len() < MAX_VIOLATIONS {
                        let value = Raw::Varint(wire::varint(&mut packed)?);
                        self.element(field, value, &mut seen[at], parent, depth)?;
                    }
                }
                (raw, _) => set[at] = self.element(field, raw, &mut seen[at], parent, depth)?,
            }
        }
        if self.violations.len() < MAX_VIOLATIONS {
            for (at, field) in rules.fields.iter().enumerate() {
                self.end_of_field(field, seen[at], set[at], parent);
            }
        }
        Ok(())
    }

    /// One occurrence of a field; whether it says something (is not empty or zero).
    fn element(
        &mut self,
        field: &'static Field,
        raw: Raw<'_>,
        seen: &mut u32,
        parent: Option<&Place<'_>>,
        depth: usize,
    ) -> Result<bool, Malformed> {
        let index = field.repeated.then_some(*seen);
        *seen += 1;
        let place = Place { parent, name: field.name, index };
        // prost merges or replaces: then what was checked would not be what is used
        if !field.repeated && *seen > 1 {
            self.note(&place, Some("must not be given twice".to_owned()));
            return Ok(true);
        }
        // past the bound the count alone matters, which the end of the message complains about
        if field.repeated && field.bounds.max_items > 0 && *seen > field.bounds.max_items {
            return Ok(true);
        }
        let said = field.repeated || field.presence;
        match (&field.kind, raw) {
            (Kind::Message(at), Raw::Len(bytes)) => {
                let rules = Message::at(*at).ok_or(Malformed)?;
                self.message(rules, bytes, Some(&place), depth + 1)?;
                Ok(true)
            }
            (Kind::Duration, Raw::Len(bytes)) => self.noted(&place, values::duration(&field.bounds, bytes)?),
            (Kind::Timestamp, Raw::Len(bytes)) => self.noted(&place, values::timestamp(bytes)?),
            (Kind::FieldMask, Raw::Len(bytes)) => self.noted(&place, values::field_mask(bytes)?),
            (Kind::String | Kind::Bytes, Raw::Len([])) if !said => Ok(false),
            (Kind::Bytes, Raw::Len(bytes)) => {
                self.note(&place, values::length(&field.bounds, bytes.len()));
                Ok(!bytes.is_empty())
            }
            (Kind::String, Raw::Len(bytes)) => {
                let complaint = match std::str::from_utf8(bytes) {
                    Ok(text) => values::text(&field.bounds, text),
                    Err(_) => Some("must be UTF-8".to_owned()),
                };
                self.note(&place, complaint);
                Ok(!bytes.is_empty())
            }
            (_, Raw::Varint(0)) if !said => Ok(false),
            (kind, Raw::Varint(value)) => {
                let complaint = varint(kind, field, value)?;
                self.note(&place, complaint);
                Ok(value != 0)
            }
            _ => Err(Malformed),
        }
    }

    fn end_of_field(&mut self, field: &'static Field, seen: u32, set: bool, parent: Option<&Place<'_>>) {
        let place = Place { parent, name: field.name, index: None };
        if field.repeated {
            self.note(&place, values::items(&field.bounds, seen));
        } else if field.bounds.required && !set {
            self.note(&place, Some("must be set".to_owned()));
        }
    }

    fn noted(&mut self, place: &Place<'_>, complaint: Complaint) -> Result<bool, Malformed> {
        self.note(place, complaint);
        Ok(true)
    }

    fn note(&mut self, place: &Place<'_>, complaint: Complaint) {
        if let Some(description) = complaint
            && self.violations.len() < MAX_VIOLATIONS
        {
            self.violations.push(FieldViolation { field: place.render(), description });
        }
    }
}

/// Bounds of a number, a flag or an enum. Values that prost would cut to 32 bits are refused.
fn varint(kind: &Kind, field: &Field, value: u64) -> Result<Complaint, Malformed> {
    let signed = value.cast_signed();
    let (fits, width) = match kind {
        Kind::Bool => (value <= 1, "true or false"),
        Kind::Int32 => (i32::try_from(signed).is_ok(), "a 32-bit number"),
        Kind::Int64 => (true, ""),
        Kind::Uint32 => (u32::try_from(value).is_ok(), "a 32-bit number"),
        // stores keep signed 64-bit numbers
        Kind::Uint64 => (i64::try_from(value).is_ok(), "at most 9223372036854775807"),
        Kind::Enum(known) => {
            let known = i32::try_from(signed).is_ok_and(|value| known.contains(&value));
            // an element that says nothing is a mistake of the sender
            (known && !(field.repeated && value == 0), "a known value")
        }
        _ => return Err(Malformed),
    };
    Ok(if fits { values::number(&field.bounds, signed) } else { Some(format!("must be {width}")) })
}
