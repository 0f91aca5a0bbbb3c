//! How long a node's actors worked on calls of a method, by the node's own count.

use std::{collections::BTreeMap, time::Duration};

use ocmt_testkit::TestNode;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Calls and seconds, by method.
pub(crate) struct Handling(BTreeMap<String, (u32, f64)>);

impl Handling {
    /// As the node counts them now.
    pub(crate) async fn of(node: &TestNode) -> anyhow::Result<Self> {
        let address = node.local().endpoints().telemetry.trim_start_matches("http://").to_owned();
        let mut stream = TcpStream::connect(&address).await?;
        let ask = format!("GET /metrics HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        stream.write_all(ask.as_bytes()).await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        let mut found = BTreeMap::<String, (u32, f64)>::new();
        for line in text.lines() {
            let Some(rest) = line.strip_prefix("ocmt_actor_handling_seconds_") else { continue };
            let (Some((which, rest)), Some(value)) = (rest.split_once("{method=\""), rest.rsplit(' ').next())
            else {
                continue;
            };
            let Some((method, _)) = rest.split_once('"') else { continue };
            let one = found.entry(method.to_owned()).or_default();
            match which {
                "count" => one.0 = value.parse()?,
                "sum" => one.1 = value.parse()?,
                _ => {}
            }
        }
        Ok(Self(found))
    }

    /// What came on top of it since `before`.
    pub(crate) fn since(self, before: &Self) -> Self {
        let earlier = |method: &str| before.0.get(method).copied().unwrap_or_default();
        let grown = self.0.into_iter().map(|(method, (calls, seconds))| {
            let (calls_before, seconds_before) = earlier(&method);
            (method, (calls.saturating_sub(calls_before), seconds - seconds_before))
        });
        Self(grown.collect())
    }

    /// Calls of a method, and how long one took in the mean.
    pub(crate) fn mean(&self, method: &str) -> Option<(u32, Duration)> {
        let (calls, seconds) = self.0.get(method).copied().filter(|(calls, _)| *calls > 0)?;
        Some((calls, Duration::from_secs_f64(seconds.max(0.0) / f64::from(calls))))
    }
}
