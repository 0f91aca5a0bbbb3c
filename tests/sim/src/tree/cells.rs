//! Cells of running containers: they answer whoever shows the token of their start secret, and do no work.

use std::time::Duration;

use ocmt_actors::{
    CellCall, CellChannel, CellConnections, CellError, CellGot, CellInboxItem, CellInboxSettled, CellLink,
    CellOffer, CellPass, CellPolicy, CellStatus, CellTarget, CellTranscripts, CellUnlock, CellWant, CellWish,
    LockReason,
};
use ocmt_crypto::cell::{CellKey, CellPlace, StartSecret};
use ocmt_runtime::{Observed, State};
use ocmt_types::{AuthorizationId, MessageId};
use rand::{SeedableRng as _, rngs::StdRng};

use super::{engine::containers, world::Tree};

const NONCE: [u8; 32] = [1; 32];

/// The cells of one machine, to its node.
pub(crate) struct Cells {
    pub(crate) tree: Tree,
    pub(crate) machine: usize,
}

impl Cells {
    /// The running container whose start secret this token is derived from.
    async fn find(&self, cell: &CellTarget) -> Result<(Observed, StartSecret), CellError> {
        tokio::time::sleep(Duration::from_millis(2)).await; // why: a call of a cell, in simulated time
        self.tree.ground.thaw(self.machine).await;
        let engine = &self.tree.hosts[self.machine].engine;
        for seen in containers(engine) {
            let Some(secret) = engine.start_secret(&seen.container).map(StartSecret::from_bytes) else {
                continue;
            };
            let shown = cell.token.expose().as_bytes();
            let is_it = secret.control_token().is_ok_and(|token| token.matches(shown));
            if is_it && seen.state == State::Running && seen.address == Some(cell.address) {
                return Ok((seen, secret));
            }
        }
        Err(nobody())
    }
}

fn nobody() -> CellError {
    CellError::Unreachable("connection refused".to_owned())
}

fn locked<T>() -> Result<T, CellError> {
    Err(CellError::Refused { reason: "CELL_LOCKED".to_owned(), why: "nobody unlocks here".to_owned() })
}

impl CellConnections for Cells {
    fn begin_authorization<'a>(&'a self, cell: &'a CellTarget, _: CellWish) -> CellCall<'a, CellOffer> {
        Box::pin(async move {
            self.find(cell).await?;
            locked()
        })
    }

    fn finish_authorization<'a>(
        &'a self,
        cell: &'a CellTarget,
        _: AuthorizationId,
        _: Vec<u8>,
    ) -> CellCall<'a, ()> {
        Box::pin(async move {
            self.find(cell).await?;
            locked()
        })
    }

    fn disconnect<'a>(&'a self, cell: &'a CellTarget, _: String, _: bool) -> CellCall<'a, bool> {
        Box::pin(async move {
            self.find(cell).await?;
            locked()
        })
    }

    fn carry<'a>(&'a self, _: &'a CellTarget) -> CellCall<'a, ()> {
        // nobody wants to go anywhere
        Box::pin(std::future::pending())
    }
}

impl CellTranscripts for Cells {
    fn exchange_transcripts<'a>(
        &'a self,
        cell: &'a CellTarget,
        _: Vec<(MessageId, CellGot)>,
        wait: Duration,
    ) -> CellCall<'a, Vec<CellWant>> {
        Box::pin(async move {
            self.find(cell).await?;
            tokio::time::sleep(wait).await; // why: nobody says anything here, and the host waits for it
            Ok(Vec::new())
        })
    }
}

impl CellLink for Cells {
    fn take_inbox<'a>(
        &'a self,
        cell: &'a CellTarget,
        _: CellInboxSettled,
        wait: Duration,
    ) -> CellCall<'a, Vec<CellInboxItem>> {
        Box::pin(async move {
            self.find(cell).await?;
            tokio::time::sleep(wait).await; // why: nothing is ever made here, and the host waits for it
            Ok(Vec::new())
        })
    }

    fn get_key<'a>(&'a self, cell: &'a CellTarget) -> CellCall<'a, Vec<u8>> {
        Box::pin(async move {
            let (seen, secret) = self.find(cell).await?;
            let place = CellPlace {
                tenant: seen.labels.tenant,
                container: seen.labels.container,
                generation: u64::try_from(seen.labels.generation).unwrap_or(0),
            };
            let key = CellKey::generate(place, NONCE, &mut StdRng::seed_from_u64(1));
            key.offer(&secret, self.tree.clock(self.machine).now()).map_err(|_| nobody())
        })
    }

    fn put_policy<'a>(&'a self, cell: &'a CellTarget, _: CellPolicy) -> CellCall<'a, ()> {
        Box::pin(async move { self.find(cell).await.map(drop) })
    }

    fn unlock<'a>(&'a self, cell: &'a CellTarget, _: CellUnlock) -> CellCall<'a, Duration> {
        Box::pin(async move {
            self.find(cell).await?;
            locked()
        })
    }

    fn extend<'a>(&'a self, cell: &'a CellTarget, _: Vec<u8>) -> CellCall<'a, Duration> {
        Box::pin(async move {
            self.find(cell).await?;
            locked()
        })
    }

    fn lock<'a>(&'a self, cell: &'a CellTarget, _: LockReason) -> CellCall<'a, ()> {
        Box::pin(async move { self.find(cell).await.map(drop) })
    }

    fn status<'a>(&'a self, cell: &'a CellTarget) -> CellCall<'a, CellStatus> {
        Box::pin(async move {
            self.find(cell).await?;
            Ok(CellStatus {
                unlocked: None,
                boot_nonce: NONCE,
                channels: 0,
                execs: 0,
                log_followers: 0,
                activity: 0,
                idle_for: None,
                exit: None,
                unsealed: None,
            })
        })
    }

    fn open_channel<'a>(&'a self, _: &'a CellTarget) -> CellCall<'a, CellChannel> {
        Box::pin(async { Err(nobody()) })
    }

    fn open_plain<'a>(&'a self, _: &'a CellTarget, _: CellPass) -> CellCall<'a, CellChannel> {
        Box::pin(async { Err(nobody()) })
    }
}
