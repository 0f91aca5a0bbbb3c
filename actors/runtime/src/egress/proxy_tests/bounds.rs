//! Tests alone (`super` is compiled under `cfg(test)`): bytes, connections, requests, time: never more than there is.

use super::*;

#[tokio::test]
async fn parallel_connections_never_send_more_than_the_day_has() {
    let bounds = Bounds { sent_per_day: 100_000, ..Bounds::default() };
    let bench = Bench::with(bounds, &[&[PUBLIC]], LOOPBACK).await;
    let mut tunnels = Vec::new();
    for _ in 0..8 {
        tunnels.push(bench.tunnel().await);
    }
    let carried = tunnels.into_iter().map(|(mut near, mut far)| async move {
        let pushed = async {
            let _ = near.write_all(&[7; 40_000]).await;
            let _ = near.shutdown().await;
        };
        let mut got = Vec::new();
        let _ = futures_util::join!(pushed, timeout(Duration::from_secs(60), far.read_to_end(&mut got)));
        got.len()
    });
    let total: usize = futures_util::future::join_all(carried).await.into_iter().sum();
    assert_eq!(total, 100_000);
    let answer = bench.ask(&format!("CONNECT a.example.com:{} HTTP/1.1\r\n\r\n", bench.port())).await;
    assert!(answer.starts_with("HTTP/1.1 429") && answer.contains("DAY_SPENT"), "{answer}");
    bench.clock.advance(Duration::from_secs(24 * 3600));
    let (mut near, mut far) = bench.tunnel().await;
    near.write_all(b"x").await.unwrap();
    far.read_exact(&mut [0; 1]).await.unwrap();
    assert_eq!(bench.book.drain().used.sent, 1, "the next day begins anew");
}

#[tokio::test]
async fn connections_requests_time_and_heads_are_bounded() {
    let few = Bounds { connections: 2, ..Bounds::default() };
    let bench = Bench::with(few, &[&[PUBLIC]], LOOPBACK).await;
    let (_one, _two) = (bench.tunnel().await, bench.tunnel().await);
    let mut third = bench.knock().await;
    assert!(is_ended(&mut third).await);
    assert_eq!(bench.refusals(), [("-".to_owned(), "TOO_MANY", 1)], "a third connection was taken");
    let short = Bounds { lasts: Duration::from_secs(3), ..Bounds::default() };
    let bench = Bench::with(short, &[&[PUBLIC]], LOOPBACK).await;
    let (mut near, _far) = bench.tunnel().await;
    assert!(is_ended(&mut near).await, "a connection outlives its time");
    let bench =
        Bench::with(Bounds { requests_per_minute: 1, ..Bounds::default() }, &[&[PUBLIC]], LOOPBACK).await;
    assert!(bench.ask("GET / HTTP/1.1\r\n\r\n").await.starts_with("HTTP/1.1 400"));
    let _ = bench.refusals();
    assert_eq!(bench.ask("GET / HTTP/1.1\r\n\r\n").await, "", "a second request in one minute was read");
    assert_eq!(bench.refusals(), [("-".to_owned(), "TOO_MANY", 1)]);
    let long = format!("GET http://a.example.com/ HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(40_000));
    let bench = Bench::new(&[&[PUBLIC]]).await;
    let answer = bench.ask(&long).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    let idle = Bounds { idle: Duration::from_secs(3), ..Bounds::default() };
    let bench = Bench::with(idle, &[&[PUBLIC]], LOOPBACK).await;
    let (mut near, _far) = bench.tunnel().await;
    assert!(is_ended(&mut near).await, "a silent connection goes on");
}

#[tokio::test]
async fn a_tenant_takes_its_share_of_a_nodes_connections_and_no_others() {
    let places = Places { node: 2, tenant: 1 };
    let bench = Bench::at(places, Bounds::default(), &[&[PUBLIC], &[PUBLIC]], LOOPBACK).await;
    let _first = bench.tunnel().await;
    let full = bench.ask(&format!("CONNECT a.example.com:{} HTTP/1.1\r\n\r\n", bench.port())).await;
    assert!(full.starts_with("HTTP/1.1 503") && full.contains("TENANT_FULL"), "{full}");
    assert_eq!(bench.neighbour.available_permits(), 1, "the share of another tenant was taken");
}

#[tokio::test]
async fn all_proxies_of_a_tenant_share_its_places() {
    let bench = Bench::at(Places { node: 9, tenant: 3 }, Bounds::default(), &[&[PUBLIC]], LOOPBACK).await;
    let mut held = Vec::new();
    for left in [2, 1, 0] {
        // as a proxy of one more container would take its own
        let places = bench.outlet.places_of(TenantId::from_bytes([1; 16]));
        held.push(places.clone().try_acquire_owned().unwrap());
        assert_eq!(places.available_permits(), left);
    }
    let full = bench.ask(&format!("CONNECT a.example.com:{} HTTP/1.1\r\n\r\n", bench.port())).await;
    assert!(full.contains("TENANT_FULL"), "{full}");
    drop(held);
    let _tunnel = bench.tunnel().await;
}

#[tokio::test]
async fn what_a_node_has_of_connections_is_taken_by_what_is_allowed_alone() {
    let bench = Bench::of_a_node_with(1, Bounds::default(), &[&[PUBLIC]], LOOPBACK).await;
    let _silent = (bench.knock().await, bench.knock().await);
    let ask = format!("CONNECT a.example.com:{} HTTP/1.1\r\n\r\n", bench.port());
    let (near, far) = bench.tunnel().await;
    let full = bench.ask(&ask).await;
    assert!(full.starts_with("HTTP/1.1 503") && full.contains("NODE_FULL"), "{full}");
    drop((near, far));
    // its place comes back when both ends have gone
    for _ in 0..500 {
        let mut stream = bench.knock().await;
        stream.write_all(ask.as_bytes()).await.unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).await.unwrap();
        if &head == b"HTTP/1.1 200" {
            return;
        }
    }
    panic!("the place does not come back");
}
