//! Base32 as people write it down and type it in again: groups of four, in any hand.

use zeroize::Zeroizing;

const GROUP: usize = 4;
/// Longer texts are not looked at.
const MOST_TYPED: usize = 256;

/// The letters of what a person typed: case, spaces and dashes do not matter, and 0, 1 and 8 (which base32 has
/// not) are read as O, I and B. `None` if it is too long to be anything of ours.
pub(crate) fn letters(typed: &str) -> Option<Zeroizing<Vec<u8>>> {
    if typed.len() > MOST_TYPED {
        return None;
    }
    let mut letters = Zeroizing::new(Vec::with_capacity(MOST_TYPED));
    letters.extend(typed.bytes().filter(|byte| !matches!(byte, b' ' | b'-' | b'\t' | b'\r' | b'\n')).map(
        |byte| match byte {
            b'0' => b'O',
            b'1' => b'I',
            b'8' => b'B',
            other => other.to_ascii_uppercase(),
        },
    ));
    Some(letters)
}

/// The text to print: `ABCD-EFGH-…`.
pub(crate) fn groups(letters: &str) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(letters.len() / GROUP * (GROUP + 1)));
    for (index, letter) in letters.chars().enumerate() {
        if index > 0 && index % GROUP == 0 {
            text.push('-');
        }
        text.push(letter);
    }
    text
}
