//! The forms a string can be bound to (`ocmt.v1.Format`).

use crate::v1::Format;

/// What is wrong with a string of this form, or `None`.
pub(super) fn complaint(format: Format, text: &str) -> Option<&'static str> {
    let (right, complaint) = match format {
        Format::Unspecified => (true, ""),
        Format::Uuid => (uuid(text), "must be a lower-case hyphenated UUID"),
        Format::Email => (email(text), "must be an e-mail address"),
        Format::Line => (line(text), "must be one line without control characters or outer spaces"),
        Format::Name => {
            (name(text), "must be of a-z, 0-9, '.', '_' and '-', and start with a letter or digit")
        }
        Format::Token => {
            (text.bytes().all(|byte| byte.is_ascii_graphic()), "must be visible ASCII without spaces")
        }
        Format::Url => (url(text), "must be an https URL"),
    };
    (!right).then_some(complaint)
}

fn uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}

/// The dot-atom form of RFC 5321 with a host name after the @; quoted local parts and address
/// literals are not taken, so that one mailbox has few spellings.
fn email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    let atom = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte))
    };
    text.len() <= 254 && local.len() <= 64 && local.split('.').all(atom) && host(domain)
}

fn host(text: &str) -> bool {
    let label = |label: &str| {
        matches!(label.len(), 1..=63)
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

/// Bidirectional overrides and line separators are refused too: what is shown must be what was typed.
fn line(text: &str) -> bool {
    let hidden =
        |c: char| matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.trim() == text && !text.chars().any(|c| c.is_control() || hidden(c))
}

fn name(text: &str) -> bool {
    let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9');
    text.bytes().next().is_some_and(plain) && text.bytes().all(|byte| plain(byte) || b"._-".contains(&byte))
}

fn url(text: &str) -> bool {
    let (rest, loopback_only) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(rest), _) => (rest, false),
        (None, Some(rest)) => (rest, true),
        (None, None) => return false,
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (name, port) = match authority.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (authority, None),
    };
    let loopback = matches!(name, "localhost" | "127.0.0.1" | "[::1]");
    text.bytes().all(|byte| byte.is_ascii_graphic())
        && (loopback || (!loopback_only && host(name)))
        && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[track_caller]
    fn takes(format: Format, right: &[&str], wrong: &[&str]) {
        for text in right {
            assert_eq!(complaint(format, text), None, "{text:?}");
        }
        for text in wrong {
            assert!(complaint(format, text).is_some(), "{text:?}");
        }
    }

    #[test]
    fn a_uuid_has_one_spelling() {
        takes(
            Format::Uuid,
            &["018f4e2a-9c3d-4a1b-8e5f-0123456789ab"],
            &[
                "018F4E2A-9C3D-4A1B-8E5F-0123456789AB",
                "018f4e2a9c3d4a1b8e5f0123456789ab",
                "{018f4e2a-9c3d-4a1b-8e5f-0123456789ab}",
                "018f4e2a-9c3d-4a1b-8e5f-0123456789a",
                "018f4e2a-9c3d-4a1b-8e5f-0123456789ag",
            ],
        );
    }

    #[test]
    fn an_address_has_one_at_and_no_tricks() {
        let long = format!("{}@example.org", "a".repeat(65));
        takes(
            Format::Email,
            &["a@b", "ann.lee+x@mail.example.org", "o'neil@example.org"],
            &[
                "",
                "a",
                "@b",
                "a@",
                "a@b@c",
                "a b@c",
                "a@b c",
                "a@-b",
                "a..b@c",
                ".a@c",
                "\"a b\"@c",
                "a@[127.0.0.1]",
                "a@b\n",
                "ä@b",
                "a@b\r\nBcc: x@y",
                &long,
            ],
        );
    }

    #[test]
    fn a_line_shows_what_it_is() {
        takes(
            Format::Line,
            &["Ann's büro", "日本"],
            &[" a", "a ", "a\nb", "a\u{7f}", "a\u{202e}b", "a\u{2028}b", "\0"],
        );
    }

    #[test]
    fn a_name_is_for_machines() {
        takes(Format::Name, &["owner", "vault.read", "0a_b-c"], &["", ".a", "A", "a b", "-a", "ä", "a/b"]);
    }

    #[test]
    fn a_url_is_https_or_loopback() {
        takes(
            Format::Url,
            &[
                "https://example.org",
                "https://example.org:8443/x?y#z",
                "http://127.0.0.1:99/",
                "http://[::1]:9/a",
            ],
            &[
                "http://example.org",
                "ftp://x",
                "https://",
                "https://user@host/",
                "https://a b/",
                "https://a:99999/",
                "http://127.0.0.1.example.org",
                "javascript:alert(1)",
            ],
        );
    }
}
