//! What goes through, what does not, and what a change of the policy ends.

use super::*;

#[tokio::test]
async fn a_tunnel_carries_both_ways_and_is_counted() {
    let bench = Bench::new(&[&[PUBLIC]]).await;
    let (mut near, mut far) = bench.tunnel().await;
    near.write_all(b"question").await.unwrap();
    let mut got = [0; 8];
    far.read_exact(&mut got).await.unwrap();
    far.write_all(b"answer!").await.unwrap();
    drop(far);
    let mut answer = String::new();
    near.read_to_string(&mut answer).await.unwrap();
    assert_eq!((&got, answer.as_str()), (b"question", "answer!"));
    let batch = bench.drained(|batch| batch.used.received == 7).await;
    let tally = batch.allowed[&format!("a.example.com:{}", bench.port())];
    assert_eq!((tally.connections, tally.sent, tally.received), (1, 8, 7));
    assert_eq!((batch.used.sent, batch.refused.len()), (8, 0));
    assert!(bench.book.drain().is_empty() && bench.book.drain().used.sent == 8, "the day goes on");
}

#[tokio::test]
async fn a_plain_request_goes_on_without_what_is_the_proxys_and_its_answer_comes_back() {
    let bench = Bench::new(&[&[PUBLIC]]).await;
    let ask = format!(
        "POST http://a.example.com:{}/p?q HTTP/1.1\r\nHost: evil\r\nProxy-Authorization: Basic eA==\r\nX-A: b\r\nContent-Length: 4\r\n\r\nbody",
        bench.port()
    );
    let far = async {
        let (mut far, _) = bench.upstream.accept().await.unwrap();
        let mut seen = String::new();
        while !seen.ends_with("body") {
            let mut part = [0; 1024];
            let read = far.read(&mut part).await.unwrap();
            assert!(read > 0, "{seen}");
            seen.push_str(std::str::from_utf8(&part[..read]).unwrap());
        }
        far.write_all(b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\nProxy-Authenticate: Basic\r\nKeep-Alive: 5\r\nX-C: d\r\n\r\nok")
            .await
            .unwrap();
        seen
    };
    let (answer, seen) = futures_util::join!(bench.ask(&ask), far);
    let seen = seen.to_ascii_lowercase();
    assert!(seen.starts_with("post /p?q http/1.1\r\n") && seen.contains("x-a: b\r\n"), "{seen}");
    assert!(seen.contains(&format!("host: a.example.com:{}\r\n", bench.port())), "{seen}");
    assert!(!seen.contains("evil") && !seen.contains("proxy-auth"), "{seen}");
    let answer = answer.to_ascii_lowercase();
    assert!(
        answer.starts_with("http/1.1 201") && answer.ends_with("\r\n\r\nok") && answer.contains("x-c: d")
    );
    assert!(!answer.contains("proxy-auth") && !answer.contains("keep-alive"), "{answer}");
}

#[tokio::test]
async fn what_the_policy_does_not_name_is_refused_and_noted() {
    let bench = Bench::new(&[&[PUBLIC]]).await;
    let port = bench.port();
    for (place, why) in [
        (format!("b.example.org:{port}"), "NOT_IN_POLICY"),
        ("a.example.com:1".to_owned(), "NOT_IN_POLICY"),
        (format!("example.com:{port}"), "NOT_IN_POLICY"),
    ] {
        let answer = bench.ask(&format!("CONNECT {place} HTTP/1.1\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 403") && answer.contains(why), "{answer}");
        assert_eq!(bench.refusals(), [(place, why, 1)]);
    }
    *bench.said.0.lock().unwrap() = None;
    let answer = bench.ask(&format!("CONNECT a.example.com:{port} HTTP/1.1\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("POLICY_UNKNOWN"), "{answer}");
    assert_eq!(*bench.names.1.lock().unwrap(), 0, "a name was looked up for nothing");
}

#[tokio::test]
async fn a_name_that_leads_inside_is_refused_with_one_such_address_among_others_too() {
    for inside in
        ["127.0.0.1", "fd00::1", "169.254.169.254", "100.64.0.1", "::1", "::ffff:a00:1", "64:ff9b::a00:1"]
    {
        let inside: IpAddr = inside.parse().unwrap();
        let bench = Bench::new(&[&[PUBLIC, inside]]).await;
        let ask = format!("CONNECT a.example.com:{} HTTP/1.1\r\n\r\n", bench.port());
        let answer = bench.ask(&ask).await;
        assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("NOT_PUBLIC"), "{inside}: {answer}");
    }
    let bench = Bench::new(&[&[]]).await;
    let answer = bench.ask(&format!("CONNECT a.example.com:{} HTTP/1.1\r\n\r\n", bench.port())).await;
    assert!(answer.contains("NOT_PUBLIC"), "an unknown name answers otherwise: {answer}");
}

#[tokio::test]
async fn the_address_that_was_checked_is_the_one_connected_to() {
    // the second answer leads inside, where a server waits on the same port
    let (bench, inside) = loop {
        let bench = Bench::new(&[&[PUBLIC], &[LOOPBACK]]).await;
        // somebody else may have it inside
        if let Ok(inside) = TcpListener::bind((LOOPBACK, bench.port())).await {
            break (bench, inside);
        }
    };
    let (_near, _far) = bench.tunnel().await;
    assert_eq!(*bench.names.1.lock().unwrap(), 1, "the name was resolved again");
    let answer = bench.ask(&format!("CONNECT a.example.com:{} HTTP/1.1\r\n\r\n", bench.port())).await;
    assert!(answer.contains("NOT_PUBLIC"), "{answer}");
    assert!(inside.accept().now_or_never().is_none(), "somebody reached the inside");
}

#[tokio::test]
async fn a_change_of_the_policy_ends_what_it_no_longer_allows_and_nothing_else() {
    let bench = Bench::new(&[&[PUBLIC]]).await;
    let (mut near, _far) = bench.tunnel().await;
    let same = bench.said.0.lock().unwrap().clone().unwrap();
    bench.book.hold_to(&same, &bench.bounds);
    near.write_all(b"x").await.unwrap();
    assert!(bench.book.is_live(), "it ended although it is allowed");
    bench.book.hold_to(&allowing("b.example.com", bench.port()), &bench.bounds);
    assert!(is_ended(&mut near).await, "it goes on");
    let place = format!("a.example.com:{}", bench.port());
    assert_eq!(bench.refusals(), [(place, "POLICY_CHANGED", 1)]);
    let (mut near, _far) = bench.tunnel().await;
    bench.book.end_all();
    assert!(is_ended(&mut near).await, "it goes on although nobody knows the policy");
}

#[tokio::test]
async fn only_the_container_itself_is_answered() {
    let bench = Bench::with(Bounds::default(), &[&[PUBLIC]], IpAddr::V4(Ipv4Addr::new(127, 0, 0, 77))).await;
    let answer = bench.ask(&format!("CONNECT a.example.com:{} HTTP/1.1\r\n\r\n", bench.port())).await;
    assert_eq!(answer, "");
    assert!(bench.book.drain().is_empty());
}

#[tokio::test]
async fn what_two_readers_could_read_in_two_ways_never_reaches_a_destination() {
    let bench = Bench::new(&[&[PUBLIC]]).await;
    let port = bench.port();
    for framing in [
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5, 6\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 5\r\n Transfer-Encoding: chunked\r\n",
    ] {
        let ask = format!(
            "POST http://a.example.com:{port}/ HTTP/1.1\r\nHost: x\r\n{framing}\r\n0\r\n\r\nGET /evil"
        );
        let answer = bench.ask(&ask).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{framing:?}: {answer}");
    }
    assert!(bench.upstream.accept().now_or_never().is_none(), "a destination was reached");
}

#[tokio::test]
async fn of_a_length_beside_chunks_the_chunks_count_and_what_follows_them_goes_nowhere() {
    let bench = Bench::new(&[&[PUBLIC]]).await;
    let ask = format!(
        "POST http://a.example.com:{}/ HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nGET /evil HTTP/1.1\r\n\r\n",
        bench.port()
    );
    let far = async {
        let (mut far, _) = bench.upstream.accept().await.unwrap();
        let mut seen = String::new();
        while !seen.ends_with("0\r\n\r\n") {
            let mut part = [0; 1024];
            let read = far.read(&mut part).await.unwrap();
            assert!(read > 0, "{seen}");
            seen.push_str(std::str::from_utf8(&part[..read]).unwrap());
        }
        far.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        let mut rest = String::new();
        far.read_to_string(&mut rest).await.unwrap();
        (seen.to_ascii_lowercase(), rest)
    };
    let (answer, (seen, rest)) = futures_util::join!(bench.ask(&ask), far);
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    assert!(seen.contains("transfer-encoding: chunked") && !seen.contains("content-length"), "{seen}");
    assert!(seen.contains("hello") && !seen.contains("evil") && rest.is_empty(), "{seen} {rest}");
}
