//! A mark in every form it could be stored in.

use aho_corasick::{AhoCorasick, BuildError};
use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};

use super::{Finding, Report};

/// The shortest mark in bytes: shorter ones would be found by chance.
pub(super) const MIN_MARK: usize = 12;

/// Marks to look for, ready to search with.
pub struct Marks {
    finder: AhoCorasick,
    names: Vec<(String, &'static str)>,
    longest: usize,
}

impl Marks {
    /// Marks by name. Those shorter than [`MIN_MARK`] are left out of the base64 and hexadecimal forms'
    /// guarantee and refused.
    ///
    /// # Errors
    /// When a mark is too short, or the search automaton cannot be built.
    pub fn new<'a>(marks: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Result<Self, String> {
        let (mut patterns, mut names) = (Vec::new(), Vec::new());
        for (name, mark) in marks {
            if mark.len() < MIN_MARK {
                return Err(format!("the mark {name} is shorter than {MIN_MARK} bytes"));
            }
            for (form, pattern) in forms(mark) {
                patterns.push(pattern);
                names.push((name.to_owned(), form));
            }
        }
        let longest = patterns.iter().map(Vec::len).max().unwrap_or(0);
        let finder = AhoCorasick::new(&patterns).map_err(|error: BuildError| error.to_string())?;
        Ok(Self { finder, names, longest })
    }

    /// How much two chunks of one text must overlap so that nothing between them is missed.
    pub(super) fn overlap(&self) -> usize {
        self.longest.saturating_sub(1)
    }

    /// Looks through `text`, adding what it finds to `report`.
    pub(super) fn scan(&self, text: &[u8], place: &str, report: &mut Report) {
        report.bytes += text.len() as u64;
        for hit in self.finder.find_overlapping_iter(text) {
            if let Some((mark, form)) = self.names.get(hit.pattern().as_usize()) {
                report.findings.push(Finding { mark: mark.clone(), form, place: place.to_owned() });
            }
        }
    }
}

fn forms(mark: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut forms = vec![
        ("as it is", mark.to_vec()),
        ("hexadecimal", HEXLOWER.encode(mark).into_bytes()),
        ("hexadecimal", HEXUPPER.encode(mark).into_bytes()),
        ("UTF-16", mark.iter().flat_map(|byte| [*byte, 0]).collect()),
    ];
    for skipped in 0..3 {
        // at another alignment the first group is cut: only whole groups of three bytes are looked for
        let Some(whole) = mark.get(skipped..skipped + (mark.len() - skipped) / 3 * 3) else { continue };
        forms.push(("base64", BASE64_NOPAD.encode(whole).into_bytes()));
        forms.push(("base64url", BASE64URL_NOPAD.encode(whole).into_bytes()));
    }
    forms
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use data_encoding::BASE64;

    use super::*;

    const MARK: &[u8] = b"canary-7f3a\xff\xfe-secret";

    fn found_in(text: &[u8]) -> bool {
        let marks = Marks::new([("a", MARK)]).unwrap();
        let mut report = Report::default();
        marks.scan(text, "here", &mut report);
        !report.findings.is_empty()
    }

    #[test]
    fn a_mark_is_found_in_every_form_and_at_every_alignment() {
        for before in 0..5 {
            let text = [&b"xxxxx"[..before], MARK, b"yyy"].concat();
            assert!(found_in(&text) && found_in(BASE64.encode(&text).as_bytes()), "{before}");
            assert!(found_in(BASE64URL_NOPAD.encode(&text).as_bytes()), "{before}");
            assert!(
                found_in(HEXLOWER.encode(&text).as_bytes()) && found_in(HEXUPPER.encode(&text).as_bytes())
            );
        }
        assert!(!found_in(b"canary-7f3a and nothing else"));
    }

    #[test]
    fn a_short_mark_is_refused() {
        assert!(Marks::new([("a", &b"short"[..])]).is_err());
    }
}
