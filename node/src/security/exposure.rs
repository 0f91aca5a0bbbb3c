//! The engines beside the node, from outside: whether they let in who has nothing.

use std::net::SocketAddr;

use super::{
    Finding, Report, Severity,
    live::{dial, say},
};
use crate::config::{Config, StorePlace};

/// The length of the message and the code of the wish.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f];

/// Asks Redis and PostgreSQL, where the configuration names them.
pub async fn check(config: &Config, report: &mut Report) {
    redis(config, report).await;
    postgres(config, report).await;
}

async fn redis(config: &Config, report: &mut Report) {
    let url = &config.redis.url;
    if url.is_empty() {
        return;
    }
    if url.starts_with("rediss") {
        // nobody is let in without TLS; whether with it and no password would take a login that is not ours to try
        return report.could_not("exposure.redis", "it speaks TLS: see that it asks for a login (ACL LIST)");
    }
    let Ok(known) = fred::types::config::Config::from_url(url) else {
        return report.could_not("exposure.redis", "redis.url cannot be read");
    };
    // each server of a cluster has a login of its own
    for server in known.server.hosts() {
        match resolve(&format!("{}:{}", server.host, server.port), 6379).await {
            Ok(address) => one_redis(address, report).await,
            Err(why) => report.could_not("exposure.redis", why),
        }
    }
    report.looked_at("exposure.redis");
}

async fn one_redis(address: SocketAddr, report: &mut Report) {
    let asked = async { say(dial(address).await?, "PING\r\nCONFIG GET maxmemory-policy\r\nQUIT\r\n").await };
    match asked.await {
        Err(why) => report.could_not("exposure.redis", why),
        Ok(answer) => {
            if answer.starts_with("+PONG") {
                let severity = if address.ip().is_loopback() { Severity::Medium } else { Severity::Critical };
                report.push(Finding::new(
                    "exposure.redis",
                    severity,
                    address.to_string(),
                    "lets in who shows no password",
                    "whoever reaches it takes all limits away, or shuts everybody out",
                    "requirepass or an ACL in Redis, and redis.password_file here",
                ));
                if !answer.contains("noeviction") && answer.contains("maxmemory-policy") {
                    report.push(Finding::new(
                        "exposure.redis_evicts",
                        Severity::Medium,
                        address.to_string(),
                        "forgets counts when its memory is full",
                        "whoever fills it with other keys has all of a limit again",
                        "CONFIG SET maxmemory-policy noeviction",
                    ));
                }
            }
        }
    }
}

async fn postgres(config: &Config, report: &mut Report) {
    let Some(StorePlace::Postgres(url)) = config.store.place() else { return };
    let address = match resolve(&url, 5432).await {
        Ok(address) => address,
        Err(why) => return report.could_not("exposure.postgres", why),
    };
    match ssl_request(address).await {
        Ok(answer) => report.extend(without_tls(address, answer)),
        Err(why) => return report.could_not("exposure.postgres", why),
    }
    report.looked_at("exposure.postgres");
}

/// What its answer to the wish for TLS says.
fn without_tls(address: SocketAddr, answer: u8) -> Option<Finding> {
    let found = Finding::new(
        "exposure.postgres",
        Severity::High,
        address.to_string(),
        "has no TLS, and is reached over a network",
        "whoever stands between reads and changes what nodes decide by",
        "ssl = on in postgresql.conf, sslmode=verify-full in store.url",
    );
    (answer != b'S' && !address.ip().is_loopback()).then_some(found)
}

/// Asks for TLS: `S` for yes, `N` for no.
async fn ssl_request(address: SocketAddr) -> Result<u8, String> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = dial(address).await?;
    let asked = async {
        stream.write_all(&SSL_REQUEST).await?;
        stream.read_u8().await
    };
    let answered = tokio::time::timeout(std::time::Duration::from_secs(5), asked).await;
    answered.map_err(|_| format!("{address} does not answer"))?.map_err(|error| format!("{address}: {error}"))
}

/// The first address of the first host in a URL.
async fn resolve(url: &str, port: u16) -> Result<SocketAddr, String> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split(['/', '?']).next().unwrap_or(rest);
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let host = host.split(',').next().unwrap_or(host);
    let with_port = |host: &str| {
        if host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) {
            host.to_owned()
        } else {
            format!("{host}:{port}")
        }
    };
    let named = with_port(host);
    let mut found = tokio::net::lookup_host(&named).await.map_err(|error| format!("{named}: {error}"))?;
    found.next().ok_or_else(|| format!("{named} has no address"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn a_postgresql_is_asked_for_tls_and_one_over_a_network_has_to_have_it() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serves = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; 8];
            stream.read_exact(&mut asked).await.unwrap();
            assert_eq!(asked, SSL_REQUEST);
            stream.write_all(b"N").await.unwrap();
        };
        let (answer, ()) = tokio::join!(ssl_request(address), serves);
        assert_eq!(answer, Ok(b'N'));
        assert!(without_tls(address, b'N').is_none(), "on this machine alone");
        let away = "192.0.2.1:5432".parse().unwrap();
        assert!(without_tls(away, b'S').is_none());
        assert_eq!(without_tls(away, b'N').map(|it| it.rule), Some("exposure.postgres"));
        assert!(without_tls(away, b'E').is_some(), "an error is no yes");
    }

    #[tokio::test]
    async fn the_host_of_an_address_is_found_beside_logins_and_options() {
        for (url, address) in [
            ("redis://127.0.0.1", "127.0.0.1:6379"),
            ("redis://ocmt@127.0.0.1:7000/0?x=y", "127.0.0.1:7000"),
            ("redis-cluster://127.0.0.1:7001?node=127.0.0.1:7002", "127.0.0.1:7001"),
            ("redis://[::1]:7003", "[::1]:7003"),
        ] {
            assert_eq!(resolve(url, 6379).await.unwrap().to_string(), address, "{url}");
        }
    }
}
