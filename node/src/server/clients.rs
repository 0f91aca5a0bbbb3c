//! The client listener, and the one in clear beside it that sends browsers there.

use std::{net::SocketAddr, sync::Arc};

use axum::Router;
use ocmt_types::IdGen;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::{
    StartError,
    endpoints::Reserved,
    listen::{self, Clients, IDLE, ListenLimits, Resets},
    plain, redirect,
};
use crate::{config::Config, edge::site::Site, pki::Pki, tasks};

/// Both, before they serve.
pub(super) struct ClientSide {
    door: Reserved,
    redirect: Option<Reserved>,
    site: Arc<Site>,
}

impl ClientSide {
    /// Takes the addresses.
    pub(super) fn open(config: &Config) -> Result<Self, StartError> {
        let door = Reserved::take(config.listen.client)?;
        let redirect = config.listen.redirect().map(Reserved::take).transpose()?;
        let site = Arc::new(Site::of(&config.listen, door.address().port()));
        Ok(Self { door, redirect, site })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.door.address()
    }

    /// Where the listener in clear is reached.
    pub(super) fn redirect(&self) -> Option<String> {
        self.redirect.as_ref().map(|door| format!("http://{}", door.address()))
    }

    /// The names it is reached under.
    pub(super) fn site(&self) -> Arc<Site> {
        self.site.clone()
    }

    /// Serves whoever calls, until `stop`.
    pub(super) fn serve(
        self,
        config: &Config,
        pki: &Pki,
        app: Router,
        ids: Arc<dyn IdGen>,
        stop: &CancellationToken,
    ) -> Result<Vec<JoinHandle<()>>, StartError> {
        let tls = TlsAcceptor::from(pki.client_server(&config.tls)?);
        let doorman = Arc::new(Clients(self.site.clone()));
        let clients = listen::serve(self.door.listen()?, tls, app, limits(config), doorman, stop.clone());
        let mut served = vec![tasks::spawn(clients)];
        if let Some(door) = self.redirect {
            let app = redirect::app(self.site, ids);
            served.push(tasks::spawn(plain::serve(door.listen()?, app, stop.clone())));
        }
        Ok(served)
    }
}

fn limits(config: &Config) -> ListenLimits {
    ListenLimits {
        connections: usize::try_from(config.limits.connections).unwrap_or(usize::MAX),
        per_address: usize::try_from(config.limits.connections_per_address).unwrap_or(usize::MAX),
        streams: config.limits.streams_per_connection,
        window: None,
        idle: Some(IDLE),
        resets: Resets::OF_A_CLIENT,
    }
}
