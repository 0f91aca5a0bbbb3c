//! Bounds of single values: lengths, numbers, and the three well-known types that requests use.

use super::wire::{self, Malformed, Raw};
use crate::v1::{FieldBounds, Format};

/// What is wrong with a value, or `None`.
pub(super) type Complaint = Option<String>;

/// Bounds of a string's or bytes value's length, in bytes.
pub(super) fn length(bounds: &FieldBounds, len: usize) -> Complaint {
    // a length past 2^32 is past every bound
    let len = u32::try_from(len).unwrap_or(u32::MAX);
    if let Some(exact) = bounds.len
        && len != exact
    {
        return Some(format!("must be exactly {exact} bytes, is {len}"));
    }
    if len < bounds.min_len {
        return Some(format!("must be at least {} bytes, is {len}", bounds.min_len));
    }
    if bounds.max_len > 0 && len > bounds.max_len {
        return Some(format!("must be at most {} bytes, is {len}", bounds.max_len));
    }
    None
}

/// Bounds of a string: length, then form.
pub(super) fn text(bounds: &FieldBounds, text: &str) -> Complaint {
    let format = Format::try_from(bounds.format).unwrap_or_default();
    length(bounds, text.len()).or_else(|| super::format::complaint(format, text).map(str::to_owned))
}

/// Bounds of a number.
pub(super) fn number(bounds: &FieldBounds, value: i64) -> Complaint {
    match (bounds.min, bounds.max) {
        (Some(min), _) if value < min => Some(format!("must be at least {min}")),
        (_, Some(max)) if value > max => Some(format!("must be at most {max}")),
        _ => None,
    }
}

/// Bounds of the number of elements.
pub(super) fn items(bounds: &FieldBounds, count: u32) -> Complaint {
    if count < bounds.min_items {
        return Some(format!("must have at least {} elements, has {count}", bounds.min_items));
    }
    (bounds.max_items > 0 && count > bounds.max_items)
        .then(|| format!("must have at most {} elements", bounds.max_items))
}

/// `google.protobuf.Duration`: in its documented range, seconds and nanoseconds of one sign, and
/// within the bounds, which are in milliseconds.
pub(super) fn duration(bounds: &FieldBounds, bytes: &[u8]) -> Result<Complaint, Malformed> {
    const NANOS_PER_SECOND: i128 = 1_000_000_000;
    const NANOS_PER_MS: i128 = 1_000_000;
    let (seconds, nanos) = seconds_and_nanos(bytes)?;
    let one_sign = (seconds <= 0 && nanos <= 0) || (seconds >= 0 && nanos >= 0);
    if seconds.abs() > 315_576_000_000 || nanos.abs() >= NANOS_PER_SECOND || !one_sign {
        return Ok(Some("must be a valid duration".to_owned()));
    }
    let total = seconds * NANOS_PER_SECOND + nanos;
    Ok(match (bounds.min, bounds.max) {
        (Some(min), _) if total < i128::from(min) * NANOS_PER_MS => {
            Some(format!("must be at least {min} ms"))
        }
        (_, Some(max)) if total > i128::from(max) * NANOS_PER_MS => Some(format!("must be at most {max} ms")),
        _ => None,
    })
}

/// `google.protobuf.Timestamp`: years 1 to 9999.
pub(super) fn timestamp(bytes: &[u8]) -> Result<Complaint, Malformed> {
    let (seconds, nanos) = seconds_and_nanos(bytes)?;
    let right = (-62_135_596_800..=253_402_300_799).contains(&seconds) && (0..1_000_000_000).contains(&nanos);
    Ok((!right).then(|| "must be a valid time".to_owned()))
}

fn seconds_and_nanos(mut bytes: &[u8]) -> Result<(i128, i128), Malformed> {
    let (mut seconds, mut nanos) = (0, 0);
    while !bytes.is_empty() {
        match wire::field(&mut bytes)? {
            (1, Raw::Varint(value)) => seconds = i128::from(value.cast_signed()),
            (2, Raw::Varint(value)) => nanos = i128::from(value.cast_signed()),
            (1 | 2, _) => return Err(Malformed),
            _ => {}
        }
    }
    Ok((seconds, nanos))
}

/// `google.protobuf.FieldMask`: 1 to 64 paths of snake_case names joined by dots, 128 bytes each.
pub(super) fn field_mask(mut bytes: &[u8]) -> Result<Complaint, Malformed> {
    const MAX_PATHS: usize = 64;
    const MAX_PATH_LEN: usize = 128;
    let mut paths = 0_usize;
    while !bytes.is_empty() {
        match wire::field(&mut bytes)? {
            (1, Raw::Len(path)) => {
                paths += 1;
                let plain = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.');
                if !(1..=MAX_PATH_LEN).contains(&path.len()) || !path.iter().all(plain) {
                    return Ok(Some("must hold paths of field names, at most 128 bytes each".to_owned()));
                }
            }
            (1, _) => return Err(Malformed),
            _ => {}
        }
    }
    Ok((!(1..=MAX_PATHS).contains(&paths)).then(|| "must hold 1 to 64 paths".to_owned()))
}
