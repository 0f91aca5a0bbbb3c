//! Every node's client listener, and calls that go to another one when the first does not answer.

use std::time::Duration;

use ocmt_client::connect::{Bearer, Target};
use tonic::{
    Code, Status,
    service::interceptor::InterceptedService,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};

use crate::{
    history::Timed,
    wait::{now, since},
};

/// How long one node may take to answer before another is asked.
const ATTEMPT: Duration = Duration::from_secs(3);
/// How long a call may take with all its repeats.
const CALL: Duration = Duration::from_secs(20);
const KEEPALIVE: Duration = Duration::from_secs(1);
/// Between two rounds over all nodes.
const PAUSE: Duration = Duration::from_millis(25);

/// One door with a credential: what the clients of services are made of.
pub type Way = InterceptedService<Channel, Bearer>;

/// One connection to each node, made again whenever it broke.
#[derive(Clone)]
pub struct Doors {
    channels: Vec<Channel>,
}

/// How a call ended, and what it took.
pub struct Asked<T> {
    /// The answer that counts: of the last node asked.
    pub answer: Result<T, Status>,
    /// What it took.
    pub timed: Timed,
    /// Why it was sent again, one for each time.
    pub again: Vec<Again>,
}

/// An answer after which a call was sent again.
#[derive(Debug, Clone)]
pub struct Again {
    /// Which node gave it.
    pub door: usize,
    /// How long it took.
    pub took: Duration,
    /// What was said.
    pub why: String,
}

impl Doors {
    /// Doors to these nodes.
    ///
    /// # Errors
    /// An endpoint is none.
    pub fn new(targets: &[Target]) -> anyhow::Result<Self> {
        Ok(Self { channels: targets.iter().map(door).collect::<anyhow::Result<_>>()? })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.channels.len()
    }

    /// This door alone.
    pub fn way(&self, door: usize, bearer: Bearer) -> Option<Way> {
        Some(InterceptedService::new(self.channels.get(door)?.clone(), bearer))
    }

    /// Calls through `first`, then through the others in turn until one answers. The caller's request has
    /// one idempotency key, so a repeat has no second effect.
    pub async fn ask<T, F>(&self, first: usize, bearer: &Bearer, call: impl Fn(Way) -> F) -> Asked<T>
    where
        F: Future<Output = Result<T, Status>>,
    {
        let (began, mut attempts, mut again) = (now(), 0, Vec::new());
        loop {
            let mut last = Status::unavailable("no door");
            for step in 0..self.channels.len() {
                let door = (first + step) % self.channels.len();
                let Some(way) = self.way(door, bearer.clone()) else { continue };
                attempts += 1;
                let sent = now();
                let answer = match tokio::time::timeout(ATTEMPT, call(way)).await {
                    Ok(answer) => answer,
                    Err(_) => Err(Status::deadline_exceeded("no answer")),
                };
                match answer {
                    Err(status) if may_pass(&status) => {
                        let why = format!("{:?}: {}", status.code(), status.message());
                        again.push(Again { door, took: since(sent), why });
                        last = status;
                    }
                    answer => {
                        let timed = Timed { began, took: since(began), attempts, answered: true };
                        return Asked { answer, timed, again };
                    }
                }
            }
            if since(began) > CALL {
                let timed = Timed { began, took: since(began), attempts, answered: false };
                return Asked { answer: Err(last), timed, again };
            }
            tokio::time::sleep(PAUSE).await; // why: between two rounds over all nodes, at most CALL long
        }
    }
}

/// Whether the call did not get through, or another node or moment may answer it. A call that is
/// wrong in itself is wrong everywhere.
pub fn may_pass(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Cancelled
            | Code::Unknown
            | Code::Internal
            | Code::ResourceExhausted
    )
}

fn door(target: &Target) -> anyhow::Result<Channel> {
    let authority = target.authority()?;
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(target.ca.pem()))
        .domain_name(authority.host());
    Ok(Endpoint::from_shared(target.endpoint.clone())?
        .tls_config(tls)?
        .connect_timeout(Duration::from_secs(1))
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE)
        .connect_lazy())
}
