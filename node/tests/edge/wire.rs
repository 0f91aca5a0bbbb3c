//! What is under every answer: versions of TLS, where a message ends, and methods nobody needs. Bytes, since no
//! client library sends these.

use http::Request;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::kit::{Edge, PATIENCE};

/// Alerts of TLS.
const HANDSHAKE_FAILURE: u8 = 40;
const PROTOCOL_VERSION: u8 = 70;

/// A ClientHello with these suites; `versions` besides the old field that says 1.2, and none in an honest 1.2.
fn client_hello(suites: &[u16], versions: &[u16]) -> Vec<u8> {
    let list = |items: &[u16]| items.iter().flat_map(|item| item.to_be_bytes()).collect::<Vec<u8>>();
    let sized = |bytes: &[u8]| [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat();
    let extension = |kind: u16, body: &[u8]| [&kind.to_be_bytes()[..], &sized(body)].concat();
    let mut extensions = vec![
        extension(10, &sized(&list(&[0x001d, 0x0017]))), // groups: x25519, P-256
        extension(13, &sized(&list(&[0x0403, 0x0804, 0x0807]))), // signatures: ECDSA, RSA-PSS, Ed25519
    ];
    if !versions.is_empty() {
        let versions = list(versions);
        let body = [&[u8::try_from(versions.len()).unwrap()][..], &versions].concat();
        extensions.push(extension(43, &body));
        let share = [&0x001d_u16.to_be_bytes()[..], &sized(&[9; 32])].concat();
        extensions.push(extension(51, &sized(&share)));
    }
    let body =
        [&[3, 3][..], &[7; 32], &[0], &sized(&list(suites)), &[1, 0], &sized(&extensions.concat())].concat();
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    let handshake = [&[1][..], &length[1..], &body].concat();
    [&[22, 3, 1][..], &sized(&handshake)].concat()
}

/// The alert that answers these first bytes; none if the handshake goes on.
async fn alert(edge: &Edge, hello: &[u8]) -> Option<u8> {
    let mut stream = TcpStream::connect(edge.address).await.unwrap();
    stream.write_all(hello).await.unwrap();
    let mut head = [0; 5];
    timeout(PATIENCE, stream.read_exact(&mut head)).await.expect("no answer").unwrap();
    let mut body = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
    stream.read_exact(&mut body).await.unwrap();
    // content type 21: level and description
    (head[0] == 21).then(|| body[1])
}

#[tokio::test]
async fn tls_1_3_alone_is_spoken_and_with_strong_suites_alone() {
    let edge = Edge::start(|_| {}).await;
    // ECDHE with AES-GCM and ChaCha20, CBC, RSA key exchange: whatever 1.2 offers, 1.2 is refused
    let old = client_hello(&[0xc02b, 0xc02c, 0xcca9, 0xc00a, 0x009c], &[]);
    assert_eq!(alert(&edge, &old).await, Some(PROTOCOL_VERSION));
    for version in [0x0300, 0x0301, 0x0302, 0x0303] {
        let hello = client_hello(&[0x1301, 0xc02b], &[version]);
        assert_eq!(alert(&edge, &hello).await, Some(PROTOCOL_VERSION), "{version:#06x}");
    }
    // suites of 1.3 with a short tag, or that do not encrypt at all (RFC 9150)
    for suite in [0x1304, 0x1305, 0xc0b4, 0xc0b5] {
        let hello = client_hello(&[suite], &[0x0304]);
        assert_eq!(alert(&edge, &hello).await, Some(HANDSHAKE_FAILURE), "{suite:#06x}");
    }
    for suite in [0x1301, 0x1302, 0x1303] {
        assert_eq!(alert(&edge, &client_hello(&[suite], &[0x0304])).await, None, "{suite:#06x}");
    }
    // another protocol's connection is not taken for ours (ALPACA)
    edge.connect_as(b"smtp").await.expect_err("another protocol was agreed to");
    edge.connect_as(b"http/1.1").await.expect("our own was not");
}

/// Everything that comes back for these bytes over HTTP/1.1, until the node closes or says no more.
async fn answers(edge: &Edge, request: &str) -> String {
    let mut stream = edge.connect_as(b"http/1.1").await.unwrap();
    let host = format!("localhost:{}", edge.address.port());
    stream.write_all(request.replace("HOST", &host).as_bytes()).await.unwrap();
    let mut all = Vec::new();
    let mut part = [0; 4096];
    let mut patience = PATIENCE;
    while let Ok(Ok(n @ 1..)) = timeout(patience, stream.read(&mut part)).await {
        all.extend_from_slice(&part[..n]);
        patience = std::time::Duration::from_secs(2);
    }
    String::from_utf8_lossy(&all).into_owned()
}

fn statuses(all: &str) -> Vec<&str> {
    all.lines().filter_map(|line| line.strip_prefix("HTTP/1.1 ")).map(|rest| &rest[..3]).collect()
}

#[tokio::test]
async fn a_message_of_http_1_ends_where_the_standard_says_or_is_refused() {
    let edge = Edge::start(|_| {}).await;
    // both lengths: the chunked one counts, and what follows is the next request and not this one's body
    let both = "POST /nowhere HTTP/1.1\r\nhost: HOST\r\ncontent-length: 60\r\ntransfer-encoding: chunked\r\n\r\n\
                0\r\n\r\nGET / HTTP/1.1\r\nhost: HOST\r\n\r\n";
    let said = answers(&edge, both).await;
    assert!(
        matches!(statuses(&said).as_slice(), ["404" | "405", "200"] | ["400"] | ["404" | "405"]),
        "the bytes behind the last chunk were read as something else: {said}"
    );
    for (what, lines) in [
        ("two lengths", "content-length: 5\r\ncontent-length: 6"),
        ("a list of lengths", "content-length: 5, 6"),
        ("a signed length", "content-length: +5"),
        ("a length in hex", "content-length: 0x5"),
        ("chunks that are not last", "transfer-encoding: chunked, identity"),
        ("chunks twice", "transfer-encoding: chunked\r\ntransfer-encoding: identity"),
        ("a name with a space", "content-length : 5"),
        ("a folded line", "x-folded: a\r\n b\r\ncontent-length : 5"),
        ("a bare carriage return", "x-bare: a\rb"),
        ("a zero byte", "x-zero: a\0b"),
    ] {
        let request = format!("POST /nowhere HTTP/1.1\r\nhost: HOST\r\n{lines}\r\n\r\nhello");
        assert_eq!(statuses(&answers(&edge, &request).await), ["400"], "{what}");
    }
}

/// The libraries write these below everything of ours (docs/security/edge.md, "Three bare answers"): what makes them harmless
/// is that there is nothing in them.
#[tokio::test]
async fn the_libraries_own_answers_have_nothing_that_a_browser_could_use() {
    let edge = Edge::start(|_| {}).await;
    let full = "GET / HTTP/1.1\r\nx-large: ";
    let full = format!("{full}{}", "a".repeat((64 << 10) - full.len()));
    for (status, request) in [("400", "GET / HTTP/1.1\r\nno colon\r\n\r\n"), ("431", &full)] {
        let said = answers(&edge, request).await;
        let (head, rest) = said.split_once("\r\n\r\n").unwrap();
        assert!(statuses(head) == [status] && rest.is_empty(), "{said}");
        let mut names: Vec<String> =
            head.lines().skip(1).map(|line| line.split(':').next().unwrap().to_lowercase()).collect();
        names.sort();
        assert_eq!(names, ["connection", "content-length", "date"], "{said}");
        assert!(
            head.to_lowercase().contains("connection: close"),
            "another request goes on behind it: {said}"
        );
    }
    let large = Request::get("/").header("x-large", "a".repeat(70 << 10));
    let answer = edge.ask(large, "").await;
    assert_eq!((answer.status.as_u16(), answer.headers.len(), answer.body.as_str()), (431, 0, ""));
}

#[tokio::test]
async fn trace_and_connect_are_refused_and_nothing_is_echoed() {
    let edge = Edge::start(|_| {}).await;
    for method in ["TRACE", "TRACK", "CONNECT", "DEBUG"] {
        for path in ["/", "/auth/link", "/nowhere"] {
            let request = Request::builder()
                .method(method)
                .uri(path)
                .header("x-secret", "echoed")
                .header("cookie", "echoed");
            let answer = edge.ask_h1(request, "echoed").await;
            assert!([403, 404, 405].contains(&answer.status.as_u16()), "{method} {path}: {}", answer.status);
            assert!(!answer.body.contains("echoed") && !format!("{:?}", answer.headers).contains("echoed"));
        }
    }
}

#[tokio::test]
async fn every_body_says_its_type_and_text_its_charset() {
    let edge = Edge::start(|_| {}).await;
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/nowhere"),
        ("PUT", "/"),
        ("GET", "/auth/sign-up"),
        ("GET", "/auth/link/ocmt_lnk_x"),
        ("POST", "/auth/link"),
        ("GET", "/gateway/x"),
        ("GET", "/auth/oidc"),
    ] {
        let answer = edge.ask(Request::builder().method(method).uri(path), "").await;
        let kind = answer.headers.get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
        if answer.body.is_empty() {
            continue;
        }
        let kind = kind.unwrap_or_else(|| panic!("{method} {path}: a body without a type"));
        assert!(
            kind == "application/problem+json" || kind.ends_with("; charset=utf-8"),
            "{method} {path}: {kind}"
        );
    }
}
