//! What goes on beside a node's work for whoever operates it: heads of audits handed out, conditions noted, channels told.

use std::sync::Arc;

use ocmt_actors::System;
use ocmt_types::{Clock, Id as _, IdGen, TenantId};
use tokio_util::task::AbortOnDropHandle;

use super::{StartError, actors::mailer, place::Place, witnesses::witnesses};
use crate::{
    config::Config,
    limits::Limiter,
    local::Endpoints,
    oncall::{Conditions, Noter, Teller, Ways, channels},
    pki::Pki,
};

/// What it stands on.
pub(super) struct OnCall<'a> {
    pub(super) config: &'a Config,
    pub(super) place: &'a Place,
    pub(super) pki: &'a Pki,
    pub(super) system: &'a System,
    pub(super) limiter: &'a Limiter,
    pub(super) endpoints: &'a Endpoints,
    pub(super) clock: &'a Arc<dyn Clock>,
    pub(super) ids: &'a Arc<dyn IdGen>,
}

impl OnCall<'_> {
    /// Begins all of it; it goes on until the handles are dropped.
    pub(super) fn begin(&self) -> Result<Vec<AbortOnDropHandle<()>>, StartError> {
        let Self { config, place, pki, clock, ids, .. } = *self;
        let noter = Noter::new(place.store.clone(), clock.clone(), ids.clone(), place.node);
        let mut all = witnesses(config, &place.store, pki, &noter, clock)?;
        all.extend(self.tell()?);
        all.push(self.conditions(noter).begin());
        Ok(all)
    }

    fn conditions(&self, noter: Noter) -> Conditions {
        Conditions {
            noter,
            store: self.place.store.clone(),
            clock: self.clock.clone(),
            views: self.place.views(),
            limiter: self.limiter.clone(),
            system: self.system.clone(),
            pki: self.pki.folder().to_owned(),
            given: self.config.tls.certificate.clone(),
        }
    }

    fn tell(&self) -> Result<Vec<AbortOnDropHandle<()>>, StartError> {
        let channels = channels(self.config).map_err(StartError::Setting)?;
        if channels.is_empty() {
            return Ok(Vec::new());
        }
        let letters = mailer(self.config, &self.endpoints.client, self.clock, self.ids)?;
        let ways = Ways::open(self.config, letters, self.clock.clone()).map_err(StartError::Setting)?;
        let teller = Teller {
            store: self.place.store.clone(),
            clock: self.clock.clone(),
            node: self.place.node,
            cluster: TenantId::from_bytes(self.place.cluster.into_bytes()),
            carry: Arc::new(ways),
        };
        Ok(teller.begin(channels))
    }
}
