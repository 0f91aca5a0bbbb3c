//! What is looked up when somebody asks.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use ocmt_actors::System;
use ocmt_cluster::Lease;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Unit,
};

use crate::limits::Limiter;

/// Parts that keep counts of their own.
pub(super) struct Now {
    system: System,
    lease: Lease,
    limiter: Limiter,
}

impl Now {
    pub(super) fn new(system: System, lease: Lease, limiter: Limiter) -> Self {
        Self { system, lease, limiter }
    }

    fn decisions(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Calls that a limit was asked about, by what became of them";
        let mut all = encoder.encode_descriptor("limit_decisions", help, None, MetricType::Counter)?;
        for (class, decided) in self.limiter.decisions() {
            let mut say = |decision: &'static str, count: &AtomicU64| {
                let labels = [("limit", class.name()), ("decision", decision)];
                let one = all.encode_family(&labels)?;
                ConstCounter::new(count.load(Ordering::Relaxed)).encode(one)
            };
            say("admitted", &decided.admitted)?;
            say("refused", &decided.refused)?;
            say("closed", &decided.closed)?;
            say("local", &decided.local)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Now {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Now").finish_non_exhaustive()
    }
}

impl Collector for Now {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let awake = ConstGauge::new(i64::try_from(self.system.awake()).unwrap_or(i64::MAX));
        let help = "Tenants that are awake here";
        awake.encode(encoder.encode_descriptor("tenants_awake", help, None, MetricType::Gauge)?)?;
        let refused = ConstCounter::new(self.system.strangers_refused());
        let help = "Calls before sign-in that were refused; these leave no audit record";
        refused.encode(encoder.encode_descriptor("strangers_refused", help, None, MetricType::Counter)?)?;
        let drifted = ConstCounter::new(self.system.drifted());
        let help = "Containers here that were found not to be as they were made";
        drifted.encode(encoder.encode_descriptor(
            "containers_drifted",
            help,
            None,
            MetricType::Counter,
        )?)?;
        // a node without peers has no lease, and no series
        if let Some(left) = self.lease.left() {
            let left = ConstGauge::new(left.as_secs_f64());
            let help = "Until this node ends if the database acknowledges nothing more";
            let unit = Unit::Seconds;
            left.encode(encoder.encode_descriptor("lease_margin", help, Some(&unit), MetricType::Gauge)?)?;
        }
        self.decisions(&mut encoder)
    }
}
