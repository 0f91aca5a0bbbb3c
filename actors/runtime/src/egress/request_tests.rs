#![allow(clippy::unwrap_used)]
use super::*;

fn request(method: &str, uri: &str, headers: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}

fn target(method: &str, uri: &str) -> Result<Target, Refusal> {
    // what is no address at all is refused by the parser before
    let Ok(uri) = uri.parse::<Uri>() else { return Err(Refusal::Malformed("no address")) };
    let mut request = request(method, "http://x/", &[]);
    *request.uri_mut() = uri;
    Target::of(&request)
}

#[test]
fn a_tunnel_and_an_absolute_address_name_host_and_port() {
    let to = |host: &str, port, tunnel| Ok(Target { host: host.parse().unwrap(), port, tunnel });
    assert_eq!(target("CONNECT", "API.example.com:443"), to("api.example.com", 443, true));
    assert_eq!(target("GET", "http://a.example.com./x?y"), to("a.example.com", 80, false));
    assert_eq!(target("POST", "http://a.example.com:8080/"), to("a.example.com", 8080, false));
}

#[test]
fn addresses_logins_and_half_said_ports_are_malformed_in_every_notation() {
    for bad in [
        "127.0.0.1:80",
        "127.1:80",
        "2130706433:80",
        "0x7f000001:80",
        "017700000001:80",
        "[::1]:80",
        "[::ffff:127.0.0.1]:80",
        "localhost:80",
        "a.example.com",
        "a.example.com:",
        "a.example.com:0",
        "a.example.com:+80",
        "a.example.com:65536",
        "a.example.com:80:80",
        "user@a.example.com:80",
        "127.0.0.1%00.example.com:80",
        "%31.example.com:80",
        "①.example.com:80",
        "a.example.com#:80",
        "*:80",
    ] {
        assert!(matches!(target("CONNECT", bad), Err(Refusal::Malformed(_))), "CONNECT {bad} was taken");
        let absolute = format!("http://{bad}/");
        if bad != "a.example.com" && !bad.contains('#') {
            assert!(
                matches!(target("GET", &absolute), Err(Refusal::Malformed(_))),
                "GET {absolute} was taken"
            );
        }
    }
    for bad in
        ["/path", "*", "https://a.example.com/", "ftp://a.example.com/", "http://user:pw@a.example.com/"]
    {
        assert!(matches!(target("GET", bad), Err(Refusal::Malformed(_))), "GET {bad} was taken");
    }
}

#[test]
fn a_request_whose_end_is_not_clear_is_refused() {
    let framed = |headers: &[(&str, &str)]| Target::of(&request("POST", "http://a.example.com/", headers));
    for good in [vec![], vec![("content-length", "5")], vec![("transfer-encoding", "Chunked")]] {
        assert!(framed(&good).is_ok(), "{good:?}");
    }
    for bad in [
        vec![("content-length", "5"), ("content-length", "5")],
        vec![("content-length", "5, 5")],
        vec![("content-length", "+5")],
        vec![("content-length", "5"), ("transfer-encoding", "chunked")],
        vec![("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
        vec![("transfer-encoding", "gzip, chunked")],
        vec![("transfer-encoding", "identity")],
        vec![("transfer-encoding", "xchunked")],
    ] {
        assert!(matches!(framed(&bad), Err(Refusal::Malformed(_))), "{bad:?} was taken");
    }
    let mut old = request("POST", "http://a.example.com/", &[("transfer-encoding", "chunked")]);
    *old.version_mut() = Version::HTTP_10;
    assert!(Target::of(&old).is_err(), "HTTP/1.0 has no chunks");
}

#[test]
fn what_is_meant_for_the_proxy_or_the_hop_does_not_go_on_and_the_checked_host_does() {
    let asked = request(
        "GET",
        "http://a.example.com:8080/x?y=1",
        &[
            ("host", "169.254.169.254"),
            ("connection", "close, X-Secret, content-length"),
            ("x-secret", "1"),
            ("proxy-authorization", "Basic eA=="),
            ("proxy-connection", "keep-alive"),
            ("keep-alive", "300"),
            ("upgrade", "websocket"),
            ("te", "trailers"),
            ("expect", "100-continue"),
            ("content-length", "0"),
            ("authorization", "Bearer x"),
        ],
    );
    let target = Target::of(&asked).unwrap();
    let sent = rewritten(asked, &target).unwrap();
    assert_eq!(sent.uri(), "/x?y=1");
    let mut names: Vec<_> = sent.headers().keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["authorization", "connection", "content-length", "host", "via"]);
    assert_eq!(sent.headers()["host"], "a.example.com:8080");
    assert_eq!(sent.headers()["connection"], "close");
}
