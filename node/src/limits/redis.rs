//! The counts that all nodes share: one script at one key, by the server's clock.
//!
//! A call waits `redis.patience` for its count and no longer. When several in a row got none, the next do not wait at all
//! for [`PAUSE`]: a server that hangs costs nobody's time but that of the few who look whether it is back.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use fred::{
    clients::Client,
    interfaces::{ClientLike as _, LuaInterface as _},
    types::{
        Builder,
        config::{Config, ConnectionConfig, ReconnectPolicy, TlsConfig, TlsConnector, UnresponsiveConfig},
        scripts::Script,
    },
};
use ocmt_types::Clock;

use super::{Count, Step};
use crate::{config, secret_file, tls};

/// So many without an answer in a row, and nobody waits any more.
const MOST_LOST: u64 = 5;
/// For so long; then one tries.
const PAUSE: Duration = Duration::from_millis(500);
/// Of a connection, and of what is said on it first.
const CONNECT: Duration = Duration::from_secs(2);
/// A connection that answers nothing for so long is made anew.
const SILENCE: Duration = Duration::from_secs(1);
/// Commands on their way; more are refused, as if the server were gone.
const MOST_WAITING: usize = 10_000;

/// The server, or the cluster of them.
pub(super) struct Redis {
    client: Client,
    script: Script,
    clock: Arc<dyn Clock>,
    patience: Duration,
    lost: AtomicU64,
    /// By the clock that does not jump, in milliseconds.
    paused_until: AtomicU64,
    /// Whether it was told that the server is gone: once, not for each call.
    told: AtomicBool,
}

impl Redis {
    /// The way there. Whether anybody answers is seen when something is counted.
    ///
    /// # Errors
    /// What is wrong with the settings.
    pub(super) fn open(settings: &config::Redis, clock: Arc<dyn Clock>) -> Result<Self, String> {
        let mut config = Config::from_url(&settings.url).map_err(|error| error.to_string())?;
        // a node starts without it, and goes on looking for it
        config.fail_fast = false;
        let password = secret_file::read(&settings.password_file).map_err(|error| error.to_string())?;
        config.password = password.map(|password| password.expose().clone());
        if config.tls.is_some() {
            let tls = tls::trusting(&settings.ca_file)?;
            config.tls = Some(TlsConfig::from(TlsConnector::from(tls)));
        }
        let client = Builder::from_config(config)
            .with_connection_config(connection)
            .with_performance_config(|it| it.default_command_timeout = settings.patience.0)
            .set_policy(ReconnectPolicy::new_constant(0, 250))
            .build()
            .map_err(|error| error.to_string())?;
        // ends with the client
        drop(client.connect());
        let script = Script::from_lua(include_str!("gcra.lua"));
        Ok(Self {
            client,
            script,
            clock,
            patience: settings.patience.0,
            lost: AtomicU64::new(0),
            paused_until: AtomicU64::new(0),
            told: AtomicBool::new(false),
        })
    }

    /// Counts one more; none if nobody could.
    pub(super) async fn count(&self, key: &str, step: &Step) -> Option<Count> {
        if self.is_paused() {
            return None;
        }
        // what is said to nobody would wait in a queue
        if !self.client.is_connected() {
            return self.lose("there is no connection");
        }
        let answer = tokio::time::timeout(self.patience, self.ask(key, step)).await;
        let counted = match answer {
            Ok(Ok(counted)) => counted,
            Ok(Err(error)) => return self.lose(&error.to_string()),
            Err(_) => return self.lose("no answer in time"),
        };
        let [admitted, left, wait, full] = counted.as_slice() else {
            return self.lose("an answer of another form");
        };
        self.lost.store(0, Ordering::Relaxed);
        self.paused_until.store(0, Ordering::Relaxed);
        if self.told.swap(false, Ordering::Relaxed) {
            tracing::info!("redis answers again, limits are counted for all nodes");
        }
        let micros = |n: &i64| Duration::from_micros(u64::try_from(*n).unwrap_or(0));
        let left = u32::try_from(*left).unwrap_or(0);
        let wait = (*admitted != 1).then(|| micros(wait));
        Some(Count { left, wait, full: micros(full) })
    }

    /// Ends the connections.
    pub(super) async fn close(&self) {
        if let Err(error) = self.client.quit().await {
            tracing::debug!(%error, "redis was left without a goodbye");
        }
    }

    async fn ask(&self, key: &str, step: &Step) -> Result<Vec<i64>, fred::error::Error> {
        let args = step.args();
        match self.script.evalsha(&self.client, key, args.clone()).await {
            // also loads it, at the very server of a cluster that has the key
            Err(error) if error.details().starts_with("NOSCRIPT") => {
                self.client.eval(include_str!("gcra.lua"), key, args).await
            }
            counted => counted,
        }
    }

    fn is_paused(&self) -> bool {
        let now = self.now();
        let until = self.paused_until.load(Ordering::Relaxed);
        if now >= until && until != 0 {
            // one looks whether it is back, the others go on without it
            let next = now + millis(PAUSE);
            return self
                .paused_until
                .compare_exchange(until, next, Ordering::Relaxed, Ordering::Relaxed)
                .is_err();
        }
        now < until
    }

    fn lose(&self, why: &str) -> Option<Count> {
        if self.lost.fetch_add(1, Ordering::Relaxed) + 1 >= MOST_LOST {
            self.paused_until.store(self.now() + millis(PAUSE), Ordering::Relaxed);
        }
        if !self.told.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                why,
                "redis counts no limits: what brings a recovery on is refused until it does, and each node counts all else for itself"
            );
        }
        None
    }

    fn now(&self) -> u64 {
        millis(self.clock.boottime())
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn connection(it: &mut ConnectionConfig) {
    it.connection_timeout = CONNECT;
    it.internal_command_timeout = CONNECT;
    // a count that was lost on the way may have been taken
    it.max_command_attempts = 1;
    it.max_command_buffer_len = MOST_WAITING;
    it.unresponsive = UnresponsiveConfig { max_timeout: Some(SILENCE), interval: SILENCE / 4 };
}
