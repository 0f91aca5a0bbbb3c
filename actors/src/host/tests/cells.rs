//! Cells without processes: they know their start secret, hold unlocks, count locks, and echo frames.

mod together;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use ocmt_crypto::cell::{
    CellKey, CellPlace, DeliveredPolicy, GatewayAuthority, NewestPolicy, PolicyAuthority, Standing,
    StartSecret,
};
use ocmt_runtime::{ContainerRef, Observed, Runtime as _, State, sim::SimRuntime};
use ocmt_types::{Clock, MessageId, Timestamp, UnlockId};
use rand::{SeedableRng as _, rngs::StdRng};
use tokio::sync::{Notify, mpsc};

use self::together::Variables;
use super::{connecting::Connecting, transcripts::Conversing};
use crate::{
    CellCall, CellChannel, CellError, CellInboxItem, CellInboxSettled, CellLink, CellPass, CellPolicy,
    CellStatus, CellTarget, CellUnlock, LockReason,
    api::container::Unsealed,
    supervisor::{self, Task},
};

/// What the fake takes for a sealed payload, for a lease of less than an idle stop.
pub(super) const PAYLOAD: &[u8] = b"sealed to the cell";
pub(super) const LEASE: Duration = Duration::from_secs(100);

#[derive(Default)]
struct One {
    /// For an unlock by several together, and when it was made.
    held: Option<(CellKey, Timestamp)>,
    newest: NewestPolicy,
    unlock: Option<(UnlockId, Timestamp)>,
    channels: Vec<Task>,
}

/// All cells of a runtime.
pub(crate) struct FakeCells {
    runtime: SimRuntime,
    clock: Arc<dyn Clock>,
    by_token: Mutex<HashMap<String, One>>,
    /// Nothing answers.
    pub(super) dead: AtomicBool,
    pub(crate) key_asks: AtomicUsize,
    pub(crate) locks: Mutex<Vec<LockReason>>,
    /// What cells have opened by several together: variables with values, as the workload has them.
    pub(crate) together: Mutex<Vec<Variables>>,
    /// Bodies handed over with unlocks.
    pub(super) objects: Mutex<Vec<(ocmt_types::Digest32, u64, Vec<u8>)>>,
    /// Agent policies that were taken, in their order.
    pub(super) policies: Mutex<Vec<Vec<u8>>>,
    /// How often one was brought to them.
    pub(super) policy_asks: AtomicUsize,
    /// What the cells report of their work.
    pub(super) idle_for: Mutex<Option<Duration>>,
    pub(super) execs: AtomicUsize,
    pub(super) log_followers: AtomicUsize,
    /// How their workloads ended.
    pub(super) exit: Mutex<Option<i64>>,
    /// The next one that is asked how it is says that its workload ended so, and says it when `answers_late` is taken back.
    pub(super) late_exit: Mutex<Option<i64>>,
    pub(super) answers_late: AtomicBool,
    /// How many late answers were heard, and how often one was asked how it is.
    pub(super) came_late: AtomicUsize,
    pub(super) status_asks: AtomicUsize,
    /// How late a way to the workload comes to the cell.
    pub(super) ahead: Mutex<Duration>,
    /// The workload takes no connection yet.
    pub(super) slow: AtomicBool,
    /// It does not say its key yet.
    pub(crate) slow_key: AtomicBool,
    /// A lock is taken and not answered for yet.
    pub(super) slow_to_lock: AtomicBool,
    /// A lock is done, and the volume was not sealed.
    pub(super) unsealed: AtomicBool,
    /// What they say of the sealing of their volume.
    pub(super) volume_unsealed: Mutex<Option<Unsealed>>,
    /// An unlock is done or refused, and its answer is lost.
    pub(super) mute: AtomicBool,
    /// It does not say how it is.
    pub(super) silent: AtomicBool,
    /// What waits for the user's vault, of whichever cell.
    pub(super) inbox: Mutex<Vec<CellInboxItem>>,
    pub(super) inbox_refused: Mutex<Vec<(MessageId, String)>>,
    /// Tells hosts that wait; what is put in without it is seen when they ask.
    pub(super) inbox_moved: Notify,
    /// Confirmations do not arrive.
    pub(super) deaf: AtomicBool,
    pub(super) inbox_asks: AtomicUsize,
    pub(super) connecting: Connecting,
    pub(super) conversing: Conversing,
}

impl FakeCells {
    pub(super) fn new(runtime: SimRuntime, clock: Arc<dyn Clock>) -> Self {
        Self {
            runtime,
            clock,
            by_token: Mutex::default(),
            dead: AtomicBool::new(false),
            key_asks: AtomicUsize::new(0),
            locks: Mutex::default(),
            together: Mutex::default(),
            objects: Mutex::default(),
            policies: Mutex::default(),
            policy_asks: AtomicUsize::new(0),
            idle_for: Mutex::default(),
            execs: AtomicUsize::new(0),
            log_followers: AtomicUsize::new(0),
            exit: Mutex::default(),
            late_exit: Mutex::default(),
            answers_late: AtomicBool::new(false),
            came_late: AtomicUsize::new(0),
            status_asks: AtomicUsize::new(0),
            ahead: Mutex::default(),
            slow: AtomicBool::new(false),
            slow_key: AtomicBool::new(false),
            slow_to_lock: AtomicBool::new(false),
            unsealed: AtomicBool::new(false),
            volume_unsealed: Mutex::default(),
            mute: AtomicBool::new(false),
            silent: AtomicBool::new(false),
            inbox: Mutex::default(),
            inbox_refused: Mutex::default(),
            inbox_moved: Notify::new(),
            deaf: AtomicBool::new(false),
            inbox_asks: AtomicUsize::new(0),
            connecting: Connecting::default(),
            conversing: Conversing::default(),
        }
    }

    /// The running container whose start secret this token is derived from.
    pub(super) async fn find(&self, cell: &CellTarget) -> Result<(Observed, StartSecret), CellError> {
        let nobody = || CellError::Unreachable("connection refused".to_owned());
        if self.dead.load(Ordering::SeqCst) {
            return Err(nobody());
        }
        for observed in self.runtime.list().await.map_err(|_| nobody())? {
            let Some(secret) = self.secret(&observed.container) else { continue };
            let shown = cell.token.expose().as_bytes();
            if secret.control_token().unwrap().matches(shown) && observed.address == Some(cell.address) {
                return if observed.state == State::Running { Ok((observed, secret)) } else { Err(nobody()) };
            }
        }
        Err(nobody())
    }

    /// The unlock a cell is in.
    pub(super) async fn unlocked(&self, cell: &CellTarget) -> Result<Option<UnlockId>, CellError> {
        self.find(cell).await?;
        Ok(self.with(cell, |one| self.lease(one)).map(|(unlock, _)| unlock))
    }

    fn secret(&self, container: &ContainerRef) -> Option<StartSecret> {
        self.runtime.start_secret(container).map(StartSecret::from_bytes)
    }

    fn with<T>(&self, cell: &CellTarget, f: impl FnOnce(&mut One) -> T) -> T {
        f(self.by_token.lock().unwrap().entry(cell.token.expose().to_owned()).or_default())
    }

    /// All channels end, and nobody has locked anything.
    pub(super) fn hang_up(&self) {
        self.by_token.lock().unwrap().values_mut().for_each(|one| one.channels.clear());
    }

    fn lease(&self, one: &One) -> Option<(UnlockId, Duration)> {
        let now = self.clock.now();
        one.unlock.filter(|(_, until)| *until > now).map(|(id, until)| (id, until.since(now)))
    }
}

pub(super) fn refused(reason: &str) -> CellError {
    CellError::Refused { reason: reason.to_owned(), why: reason.to_lowercase() }
}

fn place(observed: &Observed) -> CellPlace {
    CellPlace {
        tenant: observed.labels.tenant,
        container: observed.labels.container,
        generation: u64::try_from(observed.labels.generation).unwrap(),
    }
}

impl CellLink for FakeCells {
    fn take_inbox<'a>(
        &'a self,
        cell: &'a CellTarget,
        settled: CellInboxSettled,
        wait: Duration,
    ) -> CellCall<'a, Vec<CellInboxItem>> {
        Box::pin(async move {
            self.find(cell).await?;
            self.inbox_asks.fetch_add(1, Ordering::SeqCst);
            if !self.deaf.load(Ordering::SeqCst) {
                let gone = |item: &CellInboxItem| {
                    settled.stored.contains(&item.item)
                        || settled.refused.iter().any(|(id, _)| *id == item.item)
                };
                self.inbox.lock().unwrap().retain(|item| !gone(item));
                self.inbox_refused.lock().unwrap().extend(settled.refused);
            }
            let moved = self.inbox_moved.notified();
            if self.inbox.lock().unwrap().is_empty() {
                // time runs out, or something came
                let _ = tokio::time::timeout(wait, moved).await;
            }
            Ok(self.inbox.lock().unwrap().iter().take(48).cloned().collect())
        })
    }

    fn get_key<'a>(&'a self, cell: &'a CellTarget) -> CellCall<'a, Vec<u8>> {
        Box::pin(async move {
            self.key_asks.fetch_add(1, Ordering::SeqCst);
            while self.slow_key.load(Ordering::SeqCst) {
                tokio::time::sleep(Duration::from_millis(5)).await; // why: a level is looked at
            }
            let (observed, secret) = self.find(cell).await?;
            let key = CellKey::generate(place(&observed), [1; 32], &mut StdRng::seed_from_u64(1));
            Ok(key.offer(&secret, self.clock.now()).unwrap())
        })
    }

    fn hold_key<'a>(&'a self, cell: &'a CellTarget, _: Duration) -> CellCall<'a, Vec<u8>> {
        Box::pin(async move {
            let (observed, secret) = self.find(cell).await?;
            let key = CellKey::generate(place(&observed), [1; 32], &mut rand::rng());
            let now = self.clock.now();
            let offer = key.offer(&secret, now).unwrap();
            self.with(cell, |one| one.held = Some((key, now)));
            Ok(offer)
        })
    }

    /// As a real one does it: what its host does not vouch for, and what is older, is refused.
    fn put_policy<'a>(&'a self, cell: &'a CellTarget, policy: CellPolicy) -> CellCall<'a, ()> {
        Box::pin(async move {
            self.policy_asks.fetch_add(1, Ordering::SeqCst);
            let (observed, secret) = self.find(cell).await?;
            let authority = PolicyAuthority::of(&secret, place(&observed)).unwrap();
            let delivered = DeliveredPolicy {
                document: &policy.document,
                statement: &policy.statement,
                signer: policy.signer,
                voucher: &policy.voucher,
            };
            let stated = authority.verify(&delivered).map_err(|_| refused("CELL_POLICY_REFUSED"))?;
            self.with(cell, |one| match one.newest.take(&stated) {
                Standing::Older => Err(refused("CELL_POLICY_OLDER")),
                Standing::Same => Ok(()),
                Standing::Newer => {
                    self.policies.lock().unwrap().push(policy.document.clone());
                    Ok(())
                }
            })
        })
    }

    fn unlock<'a>(&'a self, cell: &'a CellTarget, unlock: CellUnlock) -> CellCall<'a, Duration> {
        Box::pin(async move {
            self.find(cell).await?;
            if unlock.together {
                return self.with(cell, |one| self.open_together(one, &unlock));
            }
            if unlock.sealed_payload != PAYLOAD {
                return Err(refused("CELL_PAYLOAD_REFUSED"));
            }
            let until = self.clock.now() + LEASE;
            self.objects.lock().unwrap().extend(unlock.objects);
            let done = self.with(cell, |one| {
                if self.lease(one).is_some() {
                    return Err(refused("CELL_NOT_LOCKED"));
                }
                one.unlock = Some((unlock.unlock, until));
                Ok(LEASE)
            });
            if self.mute.load(Ordering::SeqCst) {
                return Err(CellError::Unreachable("the connection broke".to_owned()));
            }
            done
        })
    }

    fn extend<'a>(&'a self, cell: &'a CellTarget, _: Vec<u8>) -> CellCall<'a, Duration> {
        Box::pin(async move {
            self.find(cell).await?;
            let until = self.clock.now() + LEASE * 2;
            self.with(cell, |one| match &mut one.unlock {
                Some((_, end)) => {
                    *end = until;
                    Ok(LEASE * 2)
                }
                None => Err(refused("CELL_LOCKED")),
            })
        })
    }

    fn lock<'a>(&'a self, cell: &'a CellTarget, reason: LockReason) -> CellCall<'a, ()> {
        Box::pin(async move {
            self.find(cell).await?;
            self.locks.lock().unwrap().push(reason);
            // as a real one: these go first
            self.with(cell, |one| one.channels.clear());
            while self.slow_to_lock.load(Ordering::SeqCst) {
                tokio::time::sleep(Duration::from_millis(5)).await; // why: a level is looked at
            }
            self.with(cell, |one| *one = One { newest: one.newest, ..One::default() });
            if self.unsealed.load(Ordering::SeqCst) { Err(refused("VOLUME_NOT_SEALED")) } else { Ok(()) }
        })
    }

    fn status<'a>(&'a self, cell: &'a CellTarget) -> CellCall<'a, CellStatus> {
        Box::pin(async move {
            self.find(cell).await?;
            self.status_asks.fetch_add(1, Ordering::SeqCst);
            if self.silent.load(Ordering::SeqCst) {
                return Err(CellError::Unreachable("the connection broke".to_owned()));
            }
            let (unlocked, channels) = self.with(cell, |one| (self.lease(one), one.channels.len()));
            let late = self.late_exit.lock().unwrap().take();
            if late.is_some() {
                self.answers_late.store(true, Ordering::SeqCst);
                while self.answers_late.load(Ordering::SeqCst) {
                    tokio::time::sleep(Duration::from_millis(5)).await; // why: a level is looked at
                }
                self.came_late.fetch_add(1, Ordering::SeqCst);
            }
            Ok(CellStatus {
                unlocked,
                boot_nonce: [1; 32],
                channels: u32::try_from(channels).unwrap(),
                execs: u32::try_from(self.execs.load(Ordering::SeqCst)).unwrap(),
                log_followers: u32::try_from(self.log_followers.load(Ordering::SeqCst)).unwrap(),
                activity: 0,
                idle_for: *self.idle_for.lock().unwrap(),
                exit: late.or(*self.exit.lock().unwrap()),
                unsealed: *self.volume_unsealed.lock().unwrap(),
            })
        })
    }

    /// As a real one does it: the token of a key that its host states, and of its own container.
    fn open_plain<'a>(&'a self, cell: &'a CellTarget, pass: CellPass) -> CellCall<'a, CellChannel> {
        Box::pin(async move {
            let (observed, secret) = self.find(cell).await?;
            let authority = GatewayAuthority::of(&secret, place(&observed)).unwrap();
            let now = self.clock.now() + *self.ahead.lock().unwrap();
            let admitted = authority.admit(&pass.keys, pass.token.expose(), now);
            admitted.map_err(|_| refused("CELL_TOKEN_REFUSED"))?;
            if self.unlocked(cell).await?.is_none() {
                return Err(refused("CELL_LOCKED"));
            }
            // a workload that takes its time
            while self.slow.load(Ordering::SeqCst) {
                tokio::time::sleep(Duration::from_millis(5)).await; // why: a level is looked at
            }
            self.open_channel(cell).await
        })
    }

    fn open_channel<'a>(&'a self, cell: &'a CellTarget) -> CellCall<'a, CellChannel> {
        Box::pin(async move {
            self.find(cell).await?;
            let (to_cell, mut inbound) = mpsc::channel::<Bytes>(1);
            let (outbound, from_cell) = mpsc::channel(1);
            let echo = supervisor::task(async move {
                while let Some(frame) = inbound.recv().await {
                    if outbound.send([b"echo ", frame.as_ref()].concat().into()).await.is_err() {
                        return;
                    }
                }
            });
            self.with(cell, |one| one.channels.push(echo));
            Ok(CellChannel { to_cell, from_cell })
        })
    }
}
