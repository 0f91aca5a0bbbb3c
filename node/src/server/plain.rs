//! HTTP/1.1 in clear, for what may be said in clear: the redirect to HTTPS and, on loopback, telemetry.

use std::{sync::Arc, time::Duration};

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::slots::{ConnectionSlot, Slots};
use crate::tasks;

/// Connections at once, and of one address.
const CONNECTIONS: usize = 512;
const PER_ADDRESS: usize = 32;
const HEADERS: Duration = Duration::from_secs(5);
const HEADER_BYTES: usize = 16 << 10;
/// A connection is good for so long, whatever it does.
const LIFE: Duration = Duration::from_secs(60);
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// Serves `app` until `stop`.
pub(super) async fn serve(listener: TcpListener, app: Router, stop: CancellationToken) {
    let (all, slots) = (Arc::new(Semaphore::new(CONNECTIONS)), Slots::new(PER_ADDRESS));
    let accept = async {
        loop {
            let Ok(place) = all.clone().acquire_owned().await else { return };
            match listener.accept().await {
                Ok((tcp, peer)) => {
                    if let Some(slot) = slots.take(peer.ip(), place) {
                        tasks::spawn(connection(tcp, app.clone(), slot, stop.clone()));
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "could not accept a connection in clear");
                    sleep(ACCEPT_AGAIN).await;
                }
            }
        }
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = accept => {}
    }
}

async fn connection(tcp: TcpStream, app: Router, _slot: ConnectionSlot, stop: CancellationToken) {
    let service = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        app.clone().oneshot(request)
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADERS).max_buf_size(HEADER_BYTES);
    let served = builder.serve_connection(TokioIo::new(tcp), service);
    let bounded = async {
        tokio::select! {
            biased;
            () = stop.cancelled() => Ok(Ok(())),
            served = timeout(LIFE, served) => served,
        }
    };
    if let Ok(Err(error)) = bounded.await {
        tracing::debug!(%error, "a connection in clear ended");
    }
}
