//! What a node tells whoever watches it: `/metrics` on the telemetry listener, in the text form of OpenMetrics.
//!
//! Labels are words of the code. No tenant, user, address or anything else that a caller may choose is ever one: the number
//! of series has an end, and whoever reads metrics learns nothing about anybody.

mod collect;
mod requests;

use ocmt_actors::System;
use ocmt_cluster::Lease;
use ocmt_types::Clock;
use prometheus_client::{encoding::text, registry::Registry};
use std::sync::Arc;

pub use requests::{Requests, measure};

use crate::limits::Limiter;
use collect::Now;

/// As HTTP names the form.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// How every name begins.
const PREFIX: &str = "ocmt";

/// The metrics of one life of a node. Cheap to clone.
#[derive(Clone)]
pub struct Meters {
    registry: Arc<Registry>,
    requests: Requests,
}

impl Meters {
    /// Of these parts.
    pub fn new(system: &System, lease: &Lease, limiter: &Limiter, clock: &Arc<dyn Clock>) -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        let requests = Requests::new(clock.clone());
        requests.register(&mut registry);
        system.register_meters(&mut registry);
        registry.register_collector(Box::new(Now::new(system.clone(), lease.clone(), limiter.clone())));
        Self { registry: Arc::new(registry), requests }
    }

    /// Counts requests.
    pub fn requests(&self) -> Requests {
        self.requests.clone()
    }

    /// All of it, as it is now.
    ///
    /// # Errors
    /// A metric that cannot be written, which is a defect of ours.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
