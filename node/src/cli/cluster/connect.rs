//! The operator's connection: mTLS with the files that `cluster init` made.

use std::time::Duration;

use anyhow::Context as _;
use ocmt_client::ClientError;
use ocmt_proto::v1::{
    cluster_service_client::ClusterServiceClient, operator_service_client::OperatorServiceClient,
    tenant_service_client::TenantServiceClient,
};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use super::At;
use crate::{cli::args::OperatorArg, pki::OperatorFiles};

const CONNECT: Duration = Duration::from_secs(5);

/// A connection to an operator listener. Its calls have no deadline but the listener's.
pub(super) struct Operator(Channel);

impl Operator {
    pub(super) async fn connect(at: &At, operator: &OperatorArg) -> anyhow::Result<Self> {
        let files = OperatorFiles::load(&operator.dir)
            .context("cannot read the operator's files; name their folder with --operator")?;
        if !at.endpoint.starts_with("https://") {
            return Err(ClientError::Usage(format!("`{}` is not https://HOST:PORT", at.endpoint)).into());
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
