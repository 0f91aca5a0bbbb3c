//! Where a browser goes on after signing in: the page that it asked for first, and none but ours.

/// Longest path that is come back to, in bytes.
const LONGEST: usize = 120;
/// Of one as text.
const UUID: usize = 36;

/// The path, if it is of a page for people who are signed in. It comes back in a cookie, so it is held against this again.
pub(super) fn page(path: &str) -> Option<String> {
    const APP: [&str; 13] = [
        "/app/alerts",
        "/app/approvals",
        "/app/audit",
        "/app/connections",
        "/app/containers",
        "/app/groups",
        "/app/pairing",
        "/app/passkeys",
        "/app/recovery",
        "/app/sessions",
        "/app/vault",
        "/app/vault/keys",
        "/app/vault/rotate",
    ];
    let one_of = |folder: &str| path.strip_prefix(folder).is_some_and(|id| id.len() == UUID);
    let known = path == "/guardian"
        || path.starts_with("/guardian/")
        || APP.contains(&path)
        || one_of("/app/approvals/")
        || one_of("/app/containers/")
        || one_of("/app/groups/");
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-');
    (known && path.len() <= LONGEST && path.bytes().all(plain)).then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTAINER: &str = "/app/containers/0b0e6f0c-6e0f-4a53-9b1f-5b8f5a1c0d11";

    #[test]
    fn only_pages_of_ours_are_come_back_to() {
        for good in ["/guardian", "/guardian/requests/0a1b", "/app/sessions", "/app/containers", CONTAINER] {
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
            "/app/containers/wake",
            "/app/vault/step-up",
        ] {
            assert_eq!(page(bad), None, "{bad}");
        }
        assert_eq!(page(&format!("/guardian/{}", "a".repeat(200))), None);
    }
}
