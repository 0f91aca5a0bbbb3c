//! E-mail addresses in the one form under which they are stored and looked up.

use unicode_normalization::UnicodeNormalization as _;

use crate::error::ActorError;

/// Trimmed, lower case, NFC; refused unless it looks like an address.
///
/// # Errors
/// [`ActorError::InvalidArgument`] for `email`.
pub(crate) fn normalised(address: &str) -> Result<String, ActorError> {
    let address: String = address.trim().nfc().collect::<String>().to_lowercase();
    let well_formed = address.len() <= 254
        && address
            .split_once('@')
            .is_some_and(|(name, host)| !name.is_empty() && host.len() >= 3 && !host.contains('@'))
        && !address
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | ',' | ';' | '"' | ':'));
    if well_formed { Ok(address) } else { Err(ActorError::invalid("email", "is not an e-mail address")) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn one_person_has_one_form() {
        assert_eq!(normalised(" Ann@Example.COM ").unwrap(), "ann@example.com");
        assert_eq!(normalised("e\u{301}@example.com").unwrap(), normalised("\u{e9}@example.com").unwrap());
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for bad in [
            "",
            "ann",
            "@example.com",
            "ann@",
            "a@b@c.de",
            "a b@c.de",
            "ann@example.com\r\nBcc: x@y.z",
            "<ann@example.com>",
            "removed:x@y.zz",
        ] {
            assert!(normalised(bad).is_err(), "{bad:?} was taken");
        }
    }
}
