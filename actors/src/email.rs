//! E-mail addresses in the one form under which they are stored and looked up.
//!
//! Stricter than RFC 5321 on purpose: what nobody's address looks like is a way to write one address in two forms. Quoted
//! names, comments, addresses of machines and domains in letters outside ASCII are not taken (the latter have a form in
//! ASCII, `xn--…`).

use unicode_normalization::UnicodeNormalization as _;

use crate::error::ActorError;

/// RFC 5321, 4.5.3.1, in bytes.
const ADDRESS: usize = 254;
const NAME: usize = 64;
const DOMAIN: usize = 253;
const LABEL: usize = 63;

/// Trimmed, lower case, NFC; refused unless it is an address.
///
/// # Errors
/// [`ActorError::InvalidArgument`] for `email`.
pub fn normalised(address: &str) -> Result<String, ActorError> {
    let address: String = address.trim().nfc().collect::<String>().to_lowercase();
    let well_formed = address.len() <= ADDRESS
        && address.split_once('@').is_some_and(|(name, domain)| is_name(name) && is_domain(domain));
    if well_formed { Ok(address) } else { Err(ActorError::invalid("email", "is not an e-mail address")) }
}

/// Atoms with single dots between them: ASCII as RFC 5322 has it, and letters and digits of other scripts in the one form
/// that they have (none of full width, none joined). Letters of different scripts that look alike are different letters, and
/// some letters show nothing: who reads an address cannot tell, so nothing is decided by how one looks.
fn is_name(name: &str) -> bool {
    let is_atom = |c: char| {
        if c.is_ascii() {
            c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c)
        } else {
            c.is_alphanumeric()
        }
    };
    name.len() <= NAME
        && name.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atom))
        && name.nfkc().eq(name.chars())
}

/// Two labels or more of letters, digits and inner hyphens; the last is no number, as that of an address would be.
fn is_domain(domain: &str) -> bool {
    let is_label = |label: &str| {
        (1..=LABEL).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let last = domain.rsplit('.').next().unwrap_or_default();
    domain.len() <= DOMAIN
        && domain.contains('.')
        && domain.split('.').all(is_label)
        && !last.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn one_person_has_one_form() {
        assert_eq!(normalised(" Ann@Example.COM ").unwrap(), "ann@example.com");
        assert_eq!(normalised("e\u{301}@example.com").unwrap(), normalised("\u{e9}@example.com").unwrap());
        // the sign of the unit Kelvin is the letter k
        assert_eq!(normalised("mi\u{212a}e@example.com").unwrap(), "mike@example.com");
        let longest = format!("{}@{}.example", "a".repeat(64), "b".repeat(63));
        for good in ["o'hara+x@xn--bcher-kva.example", "a.b-c_d@1.example", "\u{4f8b}@example.com", &longest]
        {
            assert_eq!(normalised(good).unwrap(), good);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let (name, label) = (format!("{}@example.com", "a".repeat(65)), format!("a@{}.com", "b".repeat(64)));
        let long = format!("{}@{}com", "a".repeat(60), "abcdefghi.".repeat(20));
        for bad in [
            "",
            "ann",
            "@example.com",
            "ann@",
            "ann@localhost",
            "a@b@c.de",
            "a b@c.de",
            "ann@example.com\r\nBcc: x@y.z",
            "<ann@example.com>",
            "\"ann\"@example.com",
            "ann(x)@example.com",
            "removed:x@y.zz",
            ".ann@example.com",
            "ann.@example.com",
            "a..b@example.com",
            "ann@.example.com",
            "ann@example..com",
            "ann@example.com.",
            "ann@-example.com",
            "ann@example-.com",
            "ann@exam_ple.com",
            "ann@192.0.2.1",
            "ann@[192.0.2.1]",
            "ann@b\u{fc}cher.example",
            // format characters, and second forms of letters
            "a\u{200b}nn@example.com",
            "a\u{202e}nn@example.com",
            "a\u{ad}nn@example.com",
            "\u{ff41}nn@example.com",
            "\u{fb01}@example.com",
            "ann\u{0}@example.com",
            &name,
            &label,
            &long,
        ] {
            assert!(normalised(bad).is_err(), "{bad:?} was taken");
        }
    }
}
