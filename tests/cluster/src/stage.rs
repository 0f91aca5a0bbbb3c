//! A cluster, people at work on it, and one fault after another; after each the judgement over all of it.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use anyhow::{Context as _, bail, ensure};

use crate::{
    account::Account,
    check::linearizable,
    cluster::Cluster,
    doors::Doors,
    history::{Call, Swapped, Timed},
    load::{self, Load},
    rows,
    wait::{now, until},
};

const DEVICES: usize = 2;
const PAUSE: Duration = Duration::from_millis(60);
/// How long until everybody works, and until everybody works again after a fault was mended.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where faults are played.
pub struct Stage {
    /// The nodes.
    pub cluster: Cluster,
    /// The people.
    pub accounts: Vec<Arc<Account>>,
    /// The ways in.
    pub doors: Doors,
}

/// What a fault cost the people at work.
#[derive(Debug, Clone, Default)]
pub struct Cost {
    /// Calls that ended during it.
    pub calls: usize,
    /// Calls that had to be sent more than once.
    pub repeated: usize,
    /// Calls that had no answer after all repeats.
    pub unanswered: usize,
    /// The longest call.
    pub longest: Duration,
    /// The longest time, from the fault on, in which an account had no answer at all.
    pub silence: Duration,
    /// Why calls were sent again, and how often.
    pub reasons: BTreeMap<String, usize>,
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} calls, {} repeated, {} unanswered, longest {:.2?}, nobody without an answer for more than {:.2?}",
            self.calls, self.repeated, self.unanswered, self.longest, self.silence
        )?;
        self.reasons.iter().try_for_each(|(reason, times)| write!(f, "\n    {times} x {reason}"))
    }
}

impl Stage {
    /// Three nodes and that many people.
    ///
    /// # Errors
    /// The cluster does not start.
    pub async fn set(people: usize) -> anyhow::Result<Self> {
        Self::on(Cluster::start(3).await?, people).await
    }

    /// That many people on this cluster.
    ///
    /// # Errors
    /// They cannot sign up.
    pub async fn on(cluster: Cluster, people: usize) -> anyhow::Result<Self> {
        let accounts = cluster.accounts("person", people).await.with_context(|| cluster.words())?;
        Ok(Self { doors: cluster.doors()?, cluster, accounts })
    }

    /// Has a node own its part of the people, so that what is done to it concerns somebody; its life.
    ///
    /// # Errors
    /// It is not live, or the tenants cannot be moved.
    pub async fn busy(&self, node: usize) -> anyhow::Result<String> {
        let life = self.cluster.living(node).await?.context("the node is not live")?;
        for account in self.accounts.iter().skip(node).step_by(self.cluster.nodes.len()) {
            self.cluster.operate(&["move", &account.identity.tenant.to_string(), &life.id()]).await?;
        }
        let owned = rows::owned(&self.cluster.pool, &life.incarnation).await?;
        ensure!(owned > 0, "the node owns nobody");
        Ok(life.incarnation)
    }

    /// Plays a fault while everybody works; what it cost. Afterwards every history is checked and every
    /// vault is read through every node.
    ///
    /// # Errors
    /// The fault could not be played, somebody does not get answers again, or a history is not one of
    /// a single vault.
    pub async fn play(
        &mut self,
        fault: impl AsyncFnOnce(&mut Cluster) -> anyhow::Result<()>,
    ) -> anyhow::Result<Cost> {
        let load = Load::start(&self.accounts, &self.doors, DEVICES, PAUSE);
        let outcome = self.under_load(fault).await;
        load.stop().await?;
        let cost = outcome.with_context(|| self.cluster.words())?;
        self.judge().await.with_context(|| self.cluster.words())?;
        Ok(cost)
    }

    async fn under_load(
        &mut self,
        fault: impl AsyncFnOnce(&mut Cluster) -> anyhow::Result<()>,
    ) -> anyhow::Result<Cost> {
        self.everybody_works(now()).await.context("before the fault")?;
        let began = now();
        fault(&mut self.cluster).await?;
        let mended = now();
        self.everybody_works(mended).await.context("after the fault")?;
        Ok(self.cost(began))
    }

    /// Waits until every account has had answers to calls made after `moment`, and all nodes are live.
    async fn everybody_works(&mut self, moment: Duration) -> anyhow::Result<()> {
        let (accounts, cluster) = (&self.accounts, &mut self.cluster);
        until("every account is answered", PATIENCE, async || {
            cluster.tend()?;
            Ok(accounts.iter().all(|account| answers_since(account, moment).count() >= 3))
        })
        .await?;
        cluster.all_live(PATIENCE).await?;
        Ok(())
    }

    fn cost(&self, began: Duration) -> Cost {
        let mut cost = Cost::default();
        for account in &self.accounts {
            for timed in account.history.since(began) {
                cost.calls += 1;
                cost.repeated += usize::from(timed.attempts > 1);
                cost.unanswered += usize::from(!timed.answered);
                cost.longest = cost.longest.max(timed.took);
            }
            account.history.note(|seen| {
                seen.again.drain(..).for_each(|again| *cost.reasons.entry(again.why).or_default() += 1);
            });
            cost.silence = cost.silence.max(silence(account, began));
        }
        cost
    }

    /// Reads every vault through every node, and checks all that was ever seen of it.
    ///
    /// # Errors
    /// What is wrong with which account.
    pub async fn judge(&self) -> anyhow::Result<()> {
        for (number, account) in self.accounts.iter().enumerate() {
            for door in 0..self.doors.count() {
                let state = load::read(account, &self.doors, door).await?;
                ensure!(state.is_some(), "account {number} cannot be read through node {door}");
            }
            let seen = account.history.seen();
            if let Some(wrong) = seen.wrong.first() {
                bail!("account {number}: {wrong} (and {} more)", seen.wrong.len() - 1);
            }
            if let Err(violation) = linearizable(account.first, &seen.ops) {
                bail!("account {number}: {violation:?} in a history of {} calls", seen.ops.len());
            }
        }
        Ok(())
    }

    /// Unlocks every vault as a new device does: all of it is what its owner signed, and nothing
    /// acknowledged is missing.
    ///
    /// # Errors
    /// It is not.
    pub async fn unlock_all(&self) -> anyhow::Result<()> {
        for (number, account) in self.accounts.iter().enumerate() {
            let device = self.cluster.device(&format!("new-{number}"))?;
            let target = self.cluster.target(number % self.cluster.nodes.len());
            let state = account.unlock(target, &device).await?;
            let acknowledged = account.history.seen().ops.into_iter().filter_map(|op| match op.call {
                Call::Swap { expected, ended: Swapped::Done, .. } => Some(expected + 1),
                _ => None,
            });
            let last = acknowledged.max().context("nothing was written")?;
            ensure!(state.version >= last, "account {number} is at {state:?}, {last} was acknowledged");
        }
        Ok(())
    }
}

/// The longest time between two answers that an account had, from `began` on.
fn silence(account: &Account, began: Duration) -> Duration {
    let answered = account.history.since(began).into_iter().filter(|timed| timed.answered);
    let mut ends: Vec<_> = answered.map(|timed| timed.began + timed.took).collect();
    ends.sort_unstable();
    let earlier = std::iter::once(began).chain(ends.iter().copied());
    let gaps = earlier.zip(&ends).map(|(earlier, end)| end.saturating_sub(earlier));
    gaps.max().unwrap_or_else(|| now().saturating_sub(began))
}

fn answers_since(account: &Account, moment: Duration) -> impl Iterator<Item = Timed> {
    account.history.since(moment).into_iter().filter(move |timed| timed.answered && timed.began >= moment)
}
