//! Which headers pass between a client and a workload.
//!
//! The workload is its user's, runs what others wrote, and is reached under the node's own name. So it gets nothing that
//! says who somebody is here, and says nothing that a browser would take for the node's word about the whole site.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use super::super::{PATH, token};
use crate::forward::names::unhop;
use ocmt_types::ContainerId;

/// On every answer of a workload, between nodes and to clients: its words are not the node's.
pub const FROM_WORKLOAD: HeaderName = HeaderName::from_static("ocmt-from-workload");
/// What the workload is to get as `authorization`: that header itself is the node's.
const AUTHORIZATION: HeaderName = HeaderName::from_static("ocmt-workload-authorization");
/// A redirect of the workload's to another site.
const LOCATION: HeaderName = HeaderName::from_static("ocmt-workload-location");

/// Never from a client to a workload, beside what belongs to the connection.
const NOT_UP: [HeaderName; 12] = [
    header::HOST,
    header::AUTHORIZATION,
    header::PROXY_AUTHORIZATION,
    header::COOKIE,
    header::ORIGIN,
    header::REFERER,
    header::FORWARDED,
    header::CONTENT_LENGTH,
    header::TE,
    header::TRAILER,
    header::VIA,
    HeaderName::from_static("http2-settings"),
];
const NOT_UP_BEGINNING: [&str; 6] =
    ["ocmt-", "x-forwarded-", "x-real-ip", "x-csrf-", "sec-fetch-", "sec-websocket-"];

/// From a workload to a client: what describes its body, and its own. All else a browser could take for the node's word about the
/// whole site, or a proxy for an order.
const DOWN: [HeaderName; 17] = [
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_DISPOSITION,
    header::CONTENT_RANGE,
    header::ACCEPT_RANGES,
    header::ETAG,
    header::LAST_MODIFIED,
    header::EXPIRES,
    header::AGE,
    header::VARY,
    header::DATE,
    header::ALLOW,
    header::RETRY_AFTER,
    header::WARNING,
    HeaderName::from_static("server-timing"),
    HeaderName::from_static("content-digest"),
];
const DOWN_BEGINNING: [&str; 2] = ["x-", "ratelimit"];
/// Of these, what somebody would heed.
const NOT_DOWN_BEGINNING: [&str; 11] = [
    "x-accel-",
    "x-content-type-options",
    "x-dns-prefetch-control",
    "x-frame-options",
    "x-lighttpd-",
    "x-permitted-cross-domain-policies",
    "x-reproxy-",
    "x-sendfile",
    "x-sourcemap",
    "x-ua-compatible",
    "x-xss-protection",
];

/// Of a client's request, what its workload gets.
pub(super) fn up(mut sent: HeaderMap) -> HeaderMap {
    unhop(&mut sent);
    let authorization = sent.remove(AUTHORIZATION);
    sent.remove(token::HEADER);
    let mut sent = only(sent, |name| !NOT_UP.contains(name) && !begins(name, &NOT_UP_BEGINNING));
    if let Some(mut authorization) = authorization {
        authorization.set_sensitive(true);
        sent.insert(header::AUTHORIZATION, authorization);
    }
    sent.insert(header::HOST, HeaderValue::from_static("localhost"));
    sent
}

/// Of a workload's answer, what the client gets.
pub(super) fn down(mut sent: HeaderMap, container: ContainerId) -> HeaderMap {
    unhop(&mut sent);
    let location = sent.remove(header::LOCATION);
    let mut sent = only(sent, |name| {
        (DOWN.contains(name) || begins(name, &DOWN_BEGINNING)) && !begins(name, &NOT_DOWN_BEGINNING)
    });
    if let Some(location) = location {
        // followed elsewhere, a client's own headers would go with it: the token among them
        match here(&location, container) {
            Some(location) => sent.insert(header::LOCATION, location),
            None => sent.insert(LOCATION, location),
        };
    }
    sent.insert(FROM_WORKLOAD, HeaderValue::from_static("1"));
    sent
}

fn only(mut headers: HeaderMap, passes: impl Fn(&HeaderName) -> bool) -> HeaderMap {
    let gone: Vec<HeaderName> = headers.keys().filter(|name| !passes(name)).cloned().collect();
    for name in gone {
        headers.remove(name);
    }
    headers
}

fn begins(name: &HeaderName, beginnings: &[&str]) -> bool {
    beginnings.iter().any(|it| name.as_str().starts_with(it))
}

/// A path of the workload's as the client reaches it.
fn here(location: &HeaderValue, container: ContainerId) -> Option<HeaderValue> {
    let path = location.to_str().ok().filter(|to| to.starts_with('/'))?;
    // two slashes, or what browsers take for them, begin a host; dots lead out of what is the workload's
    let way = path.split(['?', '#']).next()?.to_ascii_lowercase().replace("%2e", ".");
    let mut words = way.split(['/', '\\']).skip(1);
    let leads_out = words.clone().any(|word| word == "." || word == "..") || path.contains('\t');
    let begins_a_host = words.next().is_some_and(str::is_empty) && way.len() > 1;
    if leads_out || begins_a_host {
        return None;
    }
    HeaderValue::from_str(&format!("{PATH}{container}{path}")).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ocmt_types::Id as _;

    use super::*;

    fn of(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        headers
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn nothing_that_says_who_somebody_is_here_reaches_a_workload() {
        let sent = up(of(&[
            ("host", "node.example"),
            ("authorization", "Bearer ocmt_ses_x"),
            ("cookie", "__Host-ocmt-session=x"),
            ("ocmt-gateway-token", "v4.public.x"),
            ("ocmt-client-addr", "192.0.2.1:1"),
            ("sec-websocket-protocol", "ocmt.plain.v1, ocmt.token.x"),
            ("origin", "https://node.example"),
            ("referer", "https://node.example/x"),
            ("sec-fetch-site", "same-origin"),
            ("x-csrf-token", "x"),
            ("x-forwarded-for", "192.0.2.1"),
            ("forwarded", "for=192.0.2.1"),
            ("connection", "x-mine, keep-alive"),
            ("x-mine", "1"),
            ("transfer-encoding", "chunked"),
            ("content-length", "7"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("http2-settings", "x"),
            ("expect", "100-continue"),
            ("ocmt-workload-authorization", "Bearer of-the-workload"),
            ("content-type", "text/plain"),
            ("x-api", "1"),
        ]));
        assert_eq!(names(&sent), ["authorization", "content-type", "host", "x-api"]);
        assert_eq!(sent[header::AUTHORIZATION], "Bearer of-the-workload");
        assert!(sent[header::AUTHORIZATION].is_sensitive());
        assert_eq!(sent[header::HOST], "localhost");
    }

    #[test]
    fn a_workload_says_nothing_for_the_node_or_its_site() {
        let said = down(
            of(&[
                ("set-cookie", "__Host-ocmt-session=x; Path=/; Secure"),
                ("set-cookie", "b=c"),
                ("clear-site-data", "\"*\""),
                ("strict-transport-security", "max-age=0"),
                ("access-control-allow-origin", "*"),
                ("service-worker-allowed", "/"),
                ("ocmt-not-owner", "-"),
                ("ocmt-wake-kind", "none"),
                ("grpc-status", "0"),
                ("content-security-policy", "default-src *"),
                ("content-security-policy-report-only", "default-src *"),
                ("www-authenticate", "Basic"),
                ("refresh", "0;url=https://evil.example"),
                ("link", "</x>; rel=preload"),
                ("transfer-encoding", "chunked"),
                ("content-length", "7"),
                ("connection", "x-mine"),
                ("x-mine", "1"),
                ("accept-ch", "sec-ch-ua"),
                ("origin-trial", "x"),
                ("timing-allow-origin", "*"),
                ("x-accel-redirect", "/etc/passwd"),
                ("x-sourcemap", "/x"),
                ("x-of-its-own", "1"),
                ("etag", "\"x\""),
                ("content-type", "application/json"),
            ]),
            ContainerId::from_bytes([7; 16]),
        );
        assert_eq!(names(&said), ["content-type", "etag", "ocmt-from-workload", "x-of-its-own"]);
    }

    #[test]
    fn a_redirect_stays_with_the_workload_or_is_only_told() {
        let id = ContainerId::from_bytes([7; 16]);
        let to = |location: &str| down(of(&[("location", location)]), id);
        for path in ["/", "/a?b", "/a..b/...?to=/../x"] {
            assert_eq!(to(path)[header::LOCATION], format!("/gateway/{id}{path}"));
        }
        for elsewhere in [
            "https://evil.example/",
            "//evil.example",
            "/\\evil.example",
            "javascript:x",
            "/../../ocmt.v1.AuthService/SignOut",
            "/a/%2E%2e/../auth/sign-out",
            "/a\\..\\..\\b",
            "/..",
            "/%2e%2E/auth/sign-out",
            // browsers take tabs out
            "/\t/evil.example",
            "relative",
        ] {
            let said = to(elsewhere);
            assert!(!said.contains_key(header::LOCATION), "{elsewhere}");
            assert_eq!(said[LOCATION], elsewhere);
        }
    }
}
