//! The operator's connection: mTLS with the files that `cluster init` made.

use std::time::Duration;

use anyhow::Context as _;
use ocmt_client::ClientError;
use ocmt_proto::v1::{
    cluster_service_client::ClusterServiceClient, operator_service_client::OperatorServiceClient,
    tenant_service_client::TenantServiceClient,
};
use ocmt_types::{Clock as _, SystemClock, Timestamp};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use super::At;
use crate::{
    cli::{args::OperatorArg, output::note},
    pki::OperatorFiles,
    security::certificates::ends_at,
};

const CONNECT: Duration = Duration::from_secs(5);
/// An operator hears with each command that their certificate ends, so long before it does.
const SOON: Duration = Duration::from_secs(30 * 24 * 3600);

/// A connection to an operator listener. Its calls have no deadline but the listener's.
pub(super) struct Operator(Channel);

impl Operator {
    pub(super) async fn connect(at: &At, operator: &OperatorArg) -> anyhow::Result<Self> {
        let files = OperatorFiles::load(&operator.dir)
            .context("cannot read the operator's files; name their folder with --operator")?;
        if !at.endpoint.starts_with("https://") {
            return Err(ClientError::Usage(format!("`{}` is not https://HOST:PORT", at.endpoint)).into());
        }
        if let Ok(ends) = ends_at(&operator.dir.join("operator.pem"))
            && let Some(said) = ends_soon(ends, SystemClock.now())
        {
            note(&said);
        }
        let failed = |error: &dyn std::error::Error| ClientError::Connect {
            endpoint: at.endpoint.clone(),
            why: innermost(error),
        };
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&files.ca))
            .identity(Identity::from_pem(&files.certificate, files.key.as_bytes()));
        let channel = Endpoint::from_shared(at.endpoint.clone())
            .and_then(|endpoint| endpoint.tls_config(tls))
            .map_err(|_| ClientError::Usage(format!("`{}` is not https://HOST:PORT", at.endpoint)))?
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            .connect()
            .await
            .map_err(|error| failed(&error))?;
        Ok(Self(channel))
    }

    pub(super) fn cluster(&self) -> ClusterServiceClient<Channel> {
        ClusterServiceClient::new(self.0.clone())
    }

    pub(super) fn tenants(&self) -> TenantServiceClient<Channel> {
        TenantServiceClient::new(self.0.clone())
    }

    pub(super) fn operators(&self) -> OperatorServiceClient<Channel> {
        OperatorServiceClient::new(self.0.clone())
    }
}

/// What an operator is told whose certificate ends within [`SOON`].
fn ends_soon(ends: Timestamp, now: Timestamp) -> Option<String> {
    const HOW: &str = "have another operator make you a new one: `ocmt cluster operators add`";
    if ends <= now {
        return Some(format!("your operator's certificate has ended: {HOW}"));
    }
    let left = ends.since(now);
    let days = left.as_secs() / (24 * 3600);
    (left <= SOON).then(|| format!("your operator's certificate ends in {days} days: {HOW}"))
}

pub(super) fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// A fresh idempotency key: each command is one act.
pub(super) fn key() -> bytes::Bytes {
    rand::random::<[u8; 16]>().to_vec().into()
}

/// A refusal as every command reports it.
pub(super) fn refused(status: tonic::Status) -> anyhow::Error {
    ClientError::from(status).into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_operator_hears_of_the_end_for_a_month_before_it() {
        let (now, day) = (Timestamp(1_800_000_000_000), Duration::from_secs(24 * 3600));
        assert_eq!(ends_soon(now + day * 31, now), None);
        for (left, says) in [(day * 30, "in 30 days"), (day / 2, "in 0 days"), (Duration::ZERO, "has ended")]
        {
            let said = ends_soon(now + left, now).unwrap();
            assert!(said.contains(says) && said.contains("ocmt cluster operators add"), "{said}");
        }
    }
}
