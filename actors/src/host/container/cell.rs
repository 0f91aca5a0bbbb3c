//! The cell of a started container: its start secret, readiness, and the calls it takes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use ocmt_crypto::{
    cell::{CellKeyOffer, CellKeyStatement, CellPlace, GatewayAuthority, PolicyAuthority, StartSecret},
    sealing::SealingPlace,
};
use ocmt_runtime::CellAddress;
use ocmt_store::tables::Container;
use ocmt_types::{ContainerId, Secret, Timestamp, UnlockId};
use tokio::time::timeout;

use super::row::spec_of;
use crate::{
    agent_policy::stored::Signed,
    env::Env,
    error::ActorError,
    host::gateway_key,
    ports::{CellCall, CellError, CellPass, CellPolicy, CellStatus, CellTarget, CellUnlock, LockReason},
};

/// A started cell answers its first call within this, or the start has failed.
pub(super) const READY_WITHIN: Duration = Duration::from_secs(30);
/// One call of a cell.
const CALL: Duration = Duration::from_secs(10);
/// A look at how it is; what does not answer that fast does no work.
const STATUS: Duration = Duration::from_secs(2);
/// Locking waits for the workload to end.
const LOCK: Duration = Duration::from_secs(15);
/// An unlock of a sealed volume: its client waits for 60 s, also for what has to be done before it.
const UNSEALING: Duration = Duration::from_secs(40);
/// A lock that seals a volume waits for its host's disk, which others use too.
const SEALING: Duration = Duration::from_secs(60);
const FIRST_WAIT: Duration = Duration::from_millis(5);
const LONGEST_WAIT: Duration = Duration::from_millis(200);

/// A cell that this host started.
pub(super) struct Cell {
    pub(super) target: CellTarget,
    start: StartSecret,
    place: CellPlace,
    policies: PolicyAuthority,
    gateway: GatewayAuthority,
    /// It has a sealed volume.
    pub(super) seals: bool,
    /// Version of the agent policy that it has; 0 before the first.
    policy: AtomicU64,
    /// Its connections with one provider are ended one at a time.
    pub(super) ending: super::errand::Turns,
}

impl Cell {
    pub(super) fn new(row: &Container, start: StartSecret, address: CellAddress) -> Result<Self, ActorError> {
        let token = start.control_token().map_err(|_| broken())?;
        let place = place(row);
        let policies = PolicyAuthority::of(&start, place).map_err(|_| broken())?;
        let gateway = GatewayAuthority::of(&start, place).map_err(|_| broken())?;
        let target = CellTarget { address, token: Arc::new(token) };
        let seals = spec_of(row).is_ok_and(|spec| spec.sealed_volume_bytes.is_some());
        let (policy, ending) = (AtomicU64::new(0), super::errand::Turns::default());
        Ok(Self { target, start, place, policies, gateway, seals, policy, ending })
    }

    /// The cell of a container that runs since before this node did.
    pub(super) fn adopt(env: &Env, row: &Container, address: Option<CellAddress>) -> Option<Self> {
        let start = started_with(env, row).ok()??;
        let address = match address {
            Some(address) => address,
            None => CellAddress(row.cell_addr.as_deref()?.parse().ok()?),
        };
        Self::new(row, start, address).ok()
    }

    /// Whether the row is still of the start that this cell came of: each start has a secret of its own, whatever key it is
    /// wrapped under. What was seen of one start is nothing to write into the row of the next.
    ///
    /// # Errors
    /// The row's secret does not open: it is to be asked again.
    pub(super) fn is_of(&self, env: &Env, row: &Container) -> Result<bool, ActorError> {
        let Some(start) = started_with(env, row)? else { return Ok(false) };
        let token = start.control_token().map_err(|_| broken())?;
        Ok(self.place == place(row) && token.matches(self.target.token.expose().as_bytes()))
    }

    /// Ready when the cell has shown that it is the one we started. Never a sleep and a hope: it is asked
    /// until it answers.
    pub(super) async fn ready(&self, env: &Env, called_off: &AtomicBool) -> Result<(), ActorError> {
        let mut wait = FIRST_WAIT;
        loop {
            if called_off.load(Ordering::SeqCst) {
                return Err(ActorError::precondition(
                    "CONTAINER_HELD",
                    "the container is held or being removed",
                ));
            }
            match timeout(STATUS, env.cells.get_key(&self.target)).await {
                Ok(Ok(offer)) => return self.open(&offer, env.now()).map(|_| ()),
                Ok(Err(CellError::Refused { why, .. })) => {
                    return Err(ActorError::unavailable(
                        "WAKE_FAILED",
                        format!("the cell refused its host: {why}"),
                    ));
                }
                Ok(Err(CellError::Unreachable(_))) | Err(_) => {}
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    fn open(&self, offer: &[u8], now: Timestamp) -> Result<CellKeyOffer, ActorError> {
        CellKeyOffer::open(offer, &self.start, &self.place, now).map_err(|_| {
            ActorError::unavailable(
                "CELL_NOT_OURS",
                "what answers at the cell's address is not the cell that was started",
            )
        })
    }

    /// The statement over the cell's key, and whether it holds an unlock. A key that is to be kept for so long is a fresh one,
    /// for one unlock by several together.
    pub(super) async fn statement(
        &self,
        env: &Env,
        keep: Option<Duration>,
    ) -> Result<(Vec<u8>, bool), ActorError> {
        let offer = match keep {
            None => bounded(CALL, env.cells.get_key(&self.target)).await?,
            Some(keep) => bounded(CALL, env.cells.hold_key(&self.target, keep)).await?,
        };
        let offer = self.open(&offer, env.now())?;
        let statement =
            CellKeyStatement::sign_by(&offer, env.node, |purpose, message| env.signer.sign(purpose, message));
        Ok((statement, offer.unlock.is_some()))
    }

    pub(super) fn container(&self) -> ContainerId {
        self.place.container
    }

    /// Whether it was given the agent policy of this version.
    pub(super) fn has_policy(&self, version: u64) -> bool {
        self.policy.load(Ordering::SeqCst) == version
    }

    /// Gives it what its agents may do, and vouches for this node, which signed it.
    pub(super) async fn give_policy(&self, env: &Env, signed: &Signed) -> Result<(), ActorError> {
        let signer = env.signer.verify_key();
        let policy = CellPolicy {
            document: signed.document.clone(),
            statement: signed.statement.clone(),
            signer,
            voucher: self.policies.vouch(&signer),
        };
        bounded(CALL, env.cells.put_policy(&self.target, policy)).await?;
        self.policy.store(signed.version, Ordering::SeqCst);
        Ok(())
    }

    /// What it is shown for somebody with this gateway token: the keys that hold here and now go with it.
    pub(super) fn pass(&self, env: &Env, token: Secret<String>) -> Result<CellPass, ActorError> {
        let keys = self.gateway.state(&gateway_key::verify_keys(env)?, env.now());
        Ok(CellPass { token, keys })
    }

    pub(super) async fn status(&self, env: &Env) -> Result<CellStatus, ActorError> {
        bounded(STATUS, env.cells.status(&self.target)).await
    }

    /// What its lease has left then.
    pub(super) async fn unlock(&self, env: &Env, unlock: CellUnlock) -> Result<Duration, ActorError> {
        let within = if self.seals { UNSEALING } else { CALL };
        bounded(within, env.cells.unlock(&self.target, unlock)).await
    }

    /// Whether it may have taken this unlock, whose answer was lost, and keep it: nobody would end its lease. While it works at one it
    /// says that it is locked. `held` is the unlock that its row has: one that says nothing is believed to have that one still.
    pub(super) async fn may_be_unlocked_by(
        &self,
        env: &Env,
        unlock: UnlockId,
        held: Option<UnlockId>,
    ) -> bool {
        match self.status(env).await {
            Ok(CellStatus { unlocked: Some((by, _)), .. }) => by == unlock,
            Ok(CellStatus { unlocked: None, .. }) => true,
            Err(_) => held.is_none(),
        }
    }

    /// Refused with [`NOT_SEALED`], it is locked all the same.
    pub(super) async fn lock(&self, env: &Env, reason: LockReason) -> Result<(), ActorError> {
        let within = if self.seals { SEALING } else { LOCK };
        bounded(within, env.cells.lock(&self.target, reason)).await
    }
}

const PURPOSE: &str = "start secret";

/// A start secret as the row keeps it: a node that comes back finds its cells again.
pub(super) fn wrap(env: &Env, row: &Container, start: &StartSecret) -> Result<Vec<u8>, ActorError> {
    let place = SealingPlace { purpose: PURPOSE, row: &place_of(row) };
    env.sealing.wrap(&place, start.expose(), &mut rand::rng()).map_err(|_| broken())
}

/// The secret of the start that the row is of; none of what does not run.
fn started_with(env: &Env, row: &Container) -> Result<Option<StartSecret>, ActorError> {
    let Some(wrapped) = row.start_secret.as_deref() else { return Ok(None) };
    let place = SealingPlace { purpose: PURPOSE, row: &place_of(row) };
    let key = env.sealing.now().unwrap_secret(&place, wrapped).map_err(|_| broken())?;
    let key = key.as_slice().try_into().map_err(|_| broken())?;
    Ok(Some(StartSecret::from_bytes(key)))
}

/// The start secret of the row under the latest generation of the sealing key.
pub(crate) fn rewrapped(env: &Env, row: &Container) -> Result<Option<Vec<u8>>, ActorError> {
    let (place_of, wrapped) = (place_of(row), row.start_secret.as_deref());
    let place = SealingPlace { purpose: PURPOSE, row: &place_of };
    wrapped.map(|wrapped| env.sealing.rewrap(&place, wrapped)).transpose().map_err(|_| broken())
}

fn place_of(row: &Container) -> Vec<u8> {
    [row.tenant_id.as_bytes().as_slice(), row.container_id.as_bytes()].concat()
}

pub(super) fn place(row: &Container) -> CellPlace {
    CellPlace {
        tenant: row.tenant_id,
        container: row.container_id,
        generation: u64::try_from(row.generation).unwrap_or(0),
    }
}

fn broken() -> ActorError {
    ActorError::unavailable(
        "SEALING_FAILED",
        "the node's sealing key does not work; the operator has been told",
    )
}

/// A call of a cell, with a bound of its own.
pub(super) async fn within<T>(bound: Duration, call: CellCall<'_, T>) -> Result<T, ActorError> {
    bounded(bound, call).await
}

/// A call of a cell, with a bound.
pub(super) async fn call<T>(call: CellCall<'_, T>) -> Result<T, ActorError> {
    bounded(CALL, call).await
}

async fn bounded<T>(within: Duration, call: CellCall<'_, T>) -> Result<T, ActorError> {
    match timeout(within, call).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(CellError::Unreachable(why))) => Err(unreachable(&why)),
        Ok(Err(CellError::Refused { reason, why })) if reason == "CELL_LOCKED" => {
            Err(ActorError::precondition(VAULT_LOCKED, why))
        }
        Ok(Err(CellError::Refused { reason, why })) if reason == "PROVIDER_AWAY" => {
            Err(ActorError::unavailable("PROVIDER", why))
        }
        Ok(Err(CellError::Refused { reason, why })) if reason == "WORKLOAD_AWAY" => {
            Err(ActorError::unavailable("WORKLOAD_AWAY", why))
        }
        Ok(Err(CellError::Refused { reason, .. })) if reason == "CELL_TOKEN_REFUSED" => {
            Err(ActorError::Unauthenticated("the gateway token is not good here: get another"))
        }
        Ok(Err(CellError::Refused { reason, why })) if reason == "CELL_EXHAUSTED" => {
            Err(ActorError::exhausted("CELL_EXHAUSTED", why))
        }
        Ok(Err(CellError::Refused { reason, why })) => Err(ActorError::precondition(reason, why)),
        Err(_) => Err(unreachable(&format!("no answer within {} s", within.as_secs()))),
    }
}

/// Reason of an answer that needs an unlock first.
pub(super) const VAULT_LOCKED: &str = "VAULT_LOCKED";
/// Reason of a cell that has seen a newer policy, as where the database was put back.
pub(super) const POLICY_OLDER: &str = "CELL_POLICY_OLDER";
/// Reason of a cell that has locked, and whose volume is as its last sealing left it.
pub(super) const NOT_SEALED: &str = "VOLUME_NOT_SEALED";
const UNREACHABLE: &str = "CELL_UNREACHABLE";

fn unreachable(why: &str) -> ActorError {
    ActorError::unavailable(UNREACHABLE, format!("the cell does not answer: {why}"))
}

/// Whether the container may be doing something else than we think.
pub(super) fn raises_doubt(error: &ActorError) -> bool {
    matches!(error.reason(), UNREACHABLE | "CELL_NOT_OURS")
}
