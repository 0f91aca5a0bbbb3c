//! Takes injected values out of the workload's output before it is kept: the value itself, and its
//! hex and base64 forms, also when one falls over the border of two reads.
//!
//! This guards against a careless workload, not a hostile one, which can write any other form.

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use zeroize::Zeroizing;

/// Shorter values are not looked for: they would blot out half of every log.
pub const MIN_REDACTED_LEN: usize = 4;
/// What stands in place of a value.
pub const MARK: &[u8] = b"[redacted]";

/// A stream filter. Bytes that may be the beginning of a value are held back until it is clear.
pub struct Redactor {
    /// longest first, so that a value within another does not leave the rest of it
    patterns: Vec<Zeroizing<Vec<u8>>>,
    /// whether any value begins with this byte: most bytes of a log end the search here
    begins: [bool; 256],
    held: Zeroizing<Vec<u8>>,
}

impl Redactor {
    /// A filter for these values.
    pub fn new<'a>(values: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut patterns: Vec<Zeroizing<Vec<u8>>> = Vec::new();
        for value in values.filter(|value| value.len() >= MIN_REDACTED_LEN) {
            patterns.push(Zeroizing::new(value.to_vec()));
            for form in [
                HEXLOWER.encode(value),
                HEXUPPER.encode(value),
                BASE64_NOPAD.encode(value),
                BASE64URL_NOPAD.encode(value),
            ] {
                patterns.push(Zeroizing::new(form.into_bytes()));
            }
        }
        patterns.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        patterns.dedup();
        let mut begins = [false; 256];
        for pattern in &patterns {
            begins[usize::from(pattern[0])] = true;
        }
        Self { patterns, begins, held: Zeroizing::new(Vec::new()) }
    }

    /// Takes the next bytes of the stream; returns what is safe to keep.
    pub fn filter(&mut self, input: &[u8]) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut *self.held);
        bytes.extend_from_slice(input);
        let mut clean = Vec::with_capacity(bytes.len());
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            // longest first: a shorter value that matches now waits while a longer one still may
            let hit = self
                .patterns
                .iter()
                .filter(|_| self.begins[usize::from(rest[0])])
                .find(|p| rest.starts_with(p) || p.starts_with(rest));
            match hit {
                Some(pattern) if rest.len() >= pattern.len() => {
                    clean.extend_from_slice(MARK);
                    at += pattern.len();
                }
                Some(_) => break,
                None => {
                    clean.push(bytes[at]);
                    at += 1;
                }
            }
        }
        self.held.extend_from_slice(&bytes[at..]);
        drop(Zeroizing::new(bytes));
        clean
    }

    /// The end of the stream: what was held back, a long enough beginning of a value blotted out.
    pub fn finish(&mut self) -> Vec<u8> {
        let held = std::mem::take(&mut *self.held);
        if held.len() >= MIN_REDACTED_LEN {
            drop(Zeroizing::new(held));
            return MARK.to_vec();
        }
        held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(values: &[&[u8]], pieces: &[&[u8]]) -> String {
        let mut redactor = Redactor::new(values.iter().copied());
        let mut out: Vec<u8> = pieces.iter().flat_map(|piece| redactor.filter(piece)).collect();
        out.extend(redactor.finish());
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn a_value_is_taken_out_wherever_reads_cut_it() {
        let text = b"key=hunter22 and again hunter22!";
        for cut in 0..text.len() {
            assert_eq!(
                through(&[b"hunter22"], &[&text[..cut], &text[cut..]]),
                "key=[redacted] and again [redacted]!"
            );
        }
        let single: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(through(&[b"hunter22"], &single), "key=[redacted] and again [redacted]!");
    }

    #[test]
    fn hex_and_base64_forms_are_taken_out() {
        assert_eq!(
            through(&[b"hunter22"], &[b"68756e7465723232 aHVudGVyMjI= 68756E7465723232"]),
            "[redacted] [redacted]= [redacted]"
        );
    }

    #[test]
    fn the_longer_of_two_values_goes_whole() {
        assert_eq!(through(&[b"abcd", b"abcdefgh"], &[b"abcdefgh abcdef"]), "[redacted] [redacted]");
    }

    #[test]
    fn other_text_passes_unchanged_and_short_values_are_left() {
        assert_eq!(
            through(&[b"abc", b"secret-value"], &[b"abc secre", b"t-valu is not it"]),
            "abc secret-valu is not it"
        );
    }

    #[test]
    fn a_value_cut_off_by_the_end_is_not_kept() {
        assert_eq!(through(&[b"secret-value"], &[b"ends in secret-valu"]), "ends in [redacted]");
    }
}
