//! The places that this node hands heads of audits out to.

use std::sync::Arc;

use ocmt_client::{audit::Trust, ca::ClusterCa};
use ocmt_store::Store;
use ocmt_types::Clock;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use super::StartError;
use crate::{
    config::Config,
    oncall::Noter,
    pki::Pki,
    secret_file,
    sso::Fetch,
    tls,
    witness::{Place, Witness},
};

/// Bytes of a key that posts are signed with, at the least.
const KEY: usize = 32;

/// Begins to hand out, to each place of the configuration.
pub(super) fn witnesses(
    config: &Config,
    store: &Store,
    pki: &Pki,
    noter: &Noter,
    clock: &Arc<dyn Clock>,
) -> Result<Vec<AbortOnDropHandle<()>>, StartError> {
    let it = &config.audit;
    let mut places = Vec::new();
    if !it.witness_file.as_os_str().is_empty() {
        places.push(Place::File(it.witness_file.clone()));
    }
    if !it.witness_url.is_empty() {
        let wrong =
            |key: &str, problem: &dyn std::fmt::Display| StartError::Setting(format!("{key}: {problem}"));
        let tls = tls::trusting(&it.witness_ca_file).map_err(|e| wrong("audit.witness_ca_file", &e))?;
        let key = secret_file::read(&it.witness_key_file).map_err(|e| wrong("audit.witness_key_file", &e))?;
        let key = key.filter(|key| key.expose().len() >= KEY);
        let key = key.ok_or_else(|| wrong("audit.witness_key_file", &"holds fewer than 32 bytes"))?;
        let url = it.witness_url.parse().map_err(|_| wrong("audit.witness_url", &"is no URL"))?;
        // the operator's own witness may be on the operator's own network
        let fetch = Fetch::new(TlsConnector::from(Arc::new(tls)), true);
        places.push(Place::Webhook { url, key, fetch });
    }
    let ca = ClusterCa::from_pem(pki.ca().pem());
    let ca = ca.map_err(|error| StartError::Setting(format!("the cluster's authority: {error}")))?;
    let trust = Trust { ca: Some(ca), keys: Vec::new() };
    let begin = |place| {
        let (store, signer, clock) = (store.clone(), pki.identity(), Arc::clone(clock));
        Witness::new(store, signer, clock, noter.clone(), place, &trust).begin(it.witness_every.0)
    };
    Ok(places.into_iter().map(begin).collect())
}
