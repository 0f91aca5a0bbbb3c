//! The cookies of our pages. All are `__Host-`: a browser takes them from this host alone, over HTTPS, for every path.

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// The session token.
pub(crate) const SESSION: &str = "__Host-ocmt-session";
/// What binds a mailed link to the browser that asked for it: 32 random bytes.
pub(crate) const BINDING: &str = "__Host-ocmt-binding";
/// What forms and scripts of ours repeat ([`super::csrf`]). Scripts read it; it says nothing of the session.
pub(crate) const CSRF: &str = "__Host-ocmt-csrf";
/// The page that a browser asked for before it was signed in ([`crate::web`]).
pub(crate) const NEXT: &str = "__Host-ocmt-next";
/// The language that pages were last asked for in.
pub(crate) const LANGUAGE: &str = "__Host-ocmt-language";

/// How long a browser keeps the language, in seconds: a year.
const LANGUAGE_SECONDS: u32 = 365 * 24 * 3600;
/// How long a browser keeps the binding, in seconds: a link lives an hour at most.
const BINDING_SECONDS: u32 = 3600;

/// The value of a cookie that a request shows exactly once. Shown twice it is none: one of the two is not ours.
pub(crate) fn one<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut named =
        pairs(headers).filter(|(found, _)| *found == name.as_bytes()).filter_map(|(_, value)| value);
    match (named.next(), named.next()) {
        (Some(value), None) if !value.is_empty() => str::from_utf8(value).ok(),
        _ => None,
    }
}

/// Whether a request shows the cookie at all, however often.
pub(crate) fn has(headers: &HeaderMap, name: &str) -> bool {
    pairs(headers).any(|(found, _)| found == name.as_bytes())
}

/// All cookies as they came. One that another host of our domain has set may be no text, and costs us none of ours.
fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
    let all =
        headers.get_all(header::COOKIE).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b';'));
    all.map(|pair| {
        let mut parts = pair.trim_ascii().splitn(2, |byte| *byte == b'=');
        (parts.next().unwrap_or_default(), parts.next())
    })
}

/// The header that sets one. It lives as long as the browser runs; the binding and the page to come back to an hour, the
/// language a year.
pub(crate) fn set(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    let mut text = format!("{name}={value}; Path=/; Secure; SameSite=Lax");
    if name != CSRF {
        text.push_str("; HttpOnly");
    }
    let seconds = match name {
        BINDING | NEXT => Some(BINDING_SECONDS),
        LANGUAGE => Some(LANGUAGE_SECONDS),
        _ => None,
    };
    if let Some(seconds) = seconds {
        text.push_str(&format!("; Max-Age={seconds}"));
    }
    let mut value = HeaderValue::from_str(&text).ok()?;
    // or a log of headers would show it
    value.set_sensitive(true);
    Some((header::SET_COOKIE, value))
}

/// The header that takes one away.
pub(crate) fn clear(name: &str) -> Option<(HeaderName, HeaderValue)> {
    let text = format!("{name}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0");
    HeaderValue::from_str(&text).ok().map(|value| (header::SET_COOKIE, value))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_cookie_is_taken_once_or_not_at_all() {
        let with = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::COOKIE, value.parse().unwrap());
            }
            one(&headers, SESSION).map(str::to_owned)
        };
        assert_eq!(with(&["a=b; __Host-ocmt-session=x; c=d"]).as_deref(), Some("x"));
        assert_eq!(with(&["a=b", "__Host-ocmt-session=x"]).as_deref(), Some("x"));
        let mut headers = HeaderMap::new();
        let line = HeaderValue::from_bytes(b"a=\xff; __Host-ocmt-session=x; \xfe").unwrap();
        headers.insert(header::COOKIE, line);
        assert_eq!(one(&headers, SESSION), Some("x"), "another host's cookie hides ours");
        for bad in [
            &["__Host-ocmt-session=x; __Host-ocmt-session=y"][..],
            &["__Host-ocmt-session=x", "__Host-ocmt-session=x"],
            &["__Host-ocmt-session="],
            &["__host-ocmt-session=x"],
            &["ocmt-session=x"],
            &[],
        ] {
            assert_eq!(with(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn every_cookie_is_locked_to_its_host_and_only_the_repeated_one_is_for_scripts() {
        for (name, for_scripts) in
            [(SESSION, false), (BINDING, false), (CSRF, true), (NEXT, false), (LANGUAGE, false)]
        {
            let (_, value) = set(name, "v").unwrap();
            let text = String::from_utf8(value.as_bytes().to_vec()).unwrap();
            assert!(text.starts_with("__Host-") && text.contains("; Path=/; Secure; SameSite=Lax"), "{text}");
            assert!(!text.contains("Domain"), "{text}");
            assert_eq!(!text.contains("HttpOnly"), for_scripts, "{text}");
        }
    }
}
