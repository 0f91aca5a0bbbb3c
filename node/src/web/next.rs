//! Where a browser goes on after signing in: the page that it asked for first, and none but ours.

/// Longest path that is come back to, in bytes.
const LONGEST: usize = 120;

/// The path, if it is of a page for people who are signed in. It comes back in a cookie, so it is held against this again.
pub(super) fn page(path: &str) -> Option<String> {
    const APP: [&str; 4] = ["/app/audit", "/app/passkeys", "/app/recovery", "/app/sessions"];
    let known = path == "/guardian" || path.starts_with("/guardian/") || APP.contains(&path);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-');
    (known && path.len() <= LONGEST && path.bytes().all(plain)).then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_ours_are_come_back_to() {
        for good in ["/guardian", "/guardian/requests/0a1b", "/app/sessions"] {
            assert_eq!(page(good).as_deref(), Some(good));
        }
        for bad in [
            "/",
            "//evil.example",
            "https://evil.example/guardian",
            "/guardian/../x",
            "/guardian/x\r\nset-cookie: a",
            "/guardianx",
            "/guardian/%2e",
            "/guardian/x?y",
            "/auth/sign-out",
        ] {
            assert_eq!(page(bad), None, "{bad}");
        }
        assert_eq!(page(&format!("/guardian/{}", "a".repeat(200))), None);
    }
}
