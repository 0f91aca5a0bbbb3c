//! The protobuf wire format, as far as a walk over it needs: tags, varints, lengths.

/// The bytes end too early, a varint is too long, a tag is no tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// A value with the wire type it came in.
#[derive(Debug, Clone, Copy)]
pub(super) enum Raw<'a> {
    Varint(u64),
    Len(&'a [u8]),
    /// Fixed-size numbers and groups: none of our fields has one, so they can only be unknown.
    Other,
}

/// Deepest nesting of groups that is skipped; nobody sends any.
const MAX_GROUPS: usize = 16;

/// Takes the next field off the front: its number and value.
pub(super) fn field<'a>(bytes: &mut &'a [u8]) -> Result<(u32, Raw<'a>), Malformed> {
    let (number, wire_type) = tag(bytes)?;
    let raw = match wire_type {
        0 => Raw::Varint(varint(bytes)?),
        1 => take(bytes, 8).map(|_| Raw::Other)?,
        2 => Raw::Len(len(bytes)?),
        3 => skip_group(bytes, number).map(|()| Raw::Other)?,
        5 => take(bytes, 4).map(|_| Raw::Other)?,
        _ => return Err(Malformed),
    };
    Ok((number, raw))
}

fn tag(bytes: &mut &[u8]) -> Result<(u32, u8), Malformed> {
    let key = u32::try_from(varint(bytes)?).map_err(|_| Malformed)?;
    let number = key >> 3;
    if number == 0 { Err(Malformed) } else { Ok((number, (key & 7) as u8)) }
}

/// Takes a varint off the front.
pub(super) fn varint(bytes: &mut &[u8]) -> Result<u64, Malformed> {
    let mut value = 0_u64;
    for at in 0..10 {
        let (&byte, rest) = bytes.split_first().ok_or(Malformed)?;
        *bytes = rest;
        // the tenth byte holds the one bit that is left
        if at == 9 && byte > 1 {
            return Err(Malformed);
        }
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(Malformed)
}

fn len<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    let len = usize::try_from(varint(bytes)?).map_err(|_| Malformed)?;
    take(bytes, len)
}

fn take<'a>(bytes: &mut &'a [u8], len: usize) -> Result<&'a [u8], Malformed> {
    let (taken, rest) = bytes.split_at_checked(len).ok_or(Malformed)?;
    *bytes = rest;
    Ok(taken)
}

/// Skips to the end of a group, iteratively: nesting is the sender's choice.
fn skip_group(bytes: &mut &[u8], number: u32) -> Result<(), Malformed> {
    let mut open = vec![number];
    while let Some(&innermost) = open.last() {
        let (number, wire_type) = tag(bytes)?;
        match wire_type {
            0 => drop(varint(bytes)?),
            1 => drop(take(bytes, 8)?),
            2 => drop(len(bytes)?),
            3 if open.len() < MAX_GROUPS => open.push(number),
            4 if number == innermost => drop(open.pop()),
            5 => drop(take(bytes, 4)?),
            _ => return Err(Malformed),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn a_varint_of_more_than_64_bits_is_malformed() {
        let mut largest: &[u8] = &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(varint(&mut largest), Ok(u64::MAX));
        let mut larger: &[u8] = &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
        assert_eq!(varint(&mut larger), Err(Malformed));
        let mut endless: &[u8] = &[0x80; 11];
        assert_eq!(varint(&mut endless), Err(Malformed));
    }

    #[test]
    fn a_length_past_the_end_is_malformed_and_allocates_nothing() {
        let mut four_gib: &[u8] = &[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f, 1];
        assert!(field(&mut four_gib).is_err());
    }

    #[test]
    fn groups_are_skipped_but_not_without_end() {
        let mut group: &[u8] = &[0x0b, 0x13, 0x08, 0x01, 0x14, 0x0c, 0x08, 0x07];
        assert!(matches!(field(&mut group), Ok((1, Raw::Other))));
        assert!(matches!(field(&mut group), Ok((1, Raw::Varint(7)))));
        let deep = [0x0b; 1000];
        assert!(field(&mut &deep[..]).is_err());
    }
}
