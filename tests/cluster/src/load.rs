//! People at work: reads and writes of vaults through any node, all of it recorded.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ocmt_proto::v1::{self as pb, vault_service_client::VaultServiceClient};
use tokio::task::JoinSet;
use tonic::{Code, Status};

use crate::{
    account::{Account, shown},
    doors::{Doors, may_pass},
    history::{Call, Op, State, Swapped, Timed, tick},
};

/// People at work until they are told to stop.
pub struct Load {
    stop: Arc<AtomicBool>,
    workers: JoinSet<anyhow::Result<()>>,
}

impl Load {
    /// Sets `devices` of each account to work, each with about `pause` between two calls.
    pub fn start(accounts: &[Arc<Account>], doors: &Doors, devices: usize, pause: Duration) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut workers = JoinSet::new();
        for account in accounts {
            for device in 0..devices {
                let device = Device {
                    account: account.clone(),
                    doors: doors.clone(),
                    entry: format!("entry {device}"),
                    pause,
                };
                workers.spawn(device.work(stop.clone()));
            }
        }
        Self { stop, workers }
    }

    /// Lets the calls on their way end, and no others begin.
    ///
    /// # Errors
    /// What a device could not make sense of.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.stop.store(true, Ordering::SeqCst);
        while let Some(ended) = self.workers.join_next().await {
            ended??;
        }
        Ok(())
    }
}

struct Device {
    account: Arc<Account>,
    doors: Doors,
    entry: String,
    pause: Duration,
}

impl Device {
    async fn work(self, stop: Arc<AtomicBool>) -> anyhow::Result<()> {
        let mut serial: u64 = 0;
        while !stop.load(Ordering::SeqCst) {
            let door = rand::random_range(0..self.doors.count());
            serial += 1;
            // a refused write has missed a state: look before the next
            if rand::random() || self.swap(door, serial).await? == Some(Swapped::Refused) {
                read(&self.account, &self.doors, door).await?;
            }
            tokio::time::sleep(self.pause.mul_f64(rand::random_range(0.5..1.5))).await; // why: the pace of the load
        }
        Ok(())
    }

    async fn swap(&self, door: usize, serial: u64) -> anyhow::Result<Option<Swapped>> {
        let proposal = self.account.propose(&self.entry, &serial.to_be_bytes())?;
        let invoked = tick();
        let asked = self
            .doors
            .ask(door, &self.account.bearer, |way| {
                let request = proposal.request.clone();
                async move { VaultServiceClient::new(way).batch_put_entries(request).await }
            })
            .await;
        let returned = tick();
        self.account.history.note(|seen| seen.again.extend(asked.again));
        let ended = match &asked.answer {
            Ok(_) => Swapped::Done,
            Err(status) if status.code() == Code::Aborted => Swapped::Refused,
            Err(status) if may_pass(status) => Swapped::Unknown,
            Err(status) => {
                self.account.history.note(|seen| seen.wrong.push(words("a write", status)));
                return Ok(None);
            }
        };
        let call = Call::Swap { expected: proposal.expected, content: proposal.content, ended };
        let returned = (ended != Swapped::Unknown).then_some(returned);
        note(&self.account, Op { invoked, returned, call }, asked.timed);
        if ended == Swapped::Done {
            self.account.learn(State { version: proposal.expected + 1, content: proposal.content })?;
        }
        Ok(Some(ended))
    }
}

/// One read, recorded.
///
/// # Errors
/// The state read does not fit what was written.
pub async fn read(account: &Account, doors: &Doors, door: usize) -> anyhow::Result<Option<State>> {
    let request = pb::GetVaultRequest { vault_id: account.vault.to_string() };
    let invoked = tick();
    let asked = doors
        .ask(door, &account.bearer, |way| {
            let request = request.clone();
            async move { VaultServiceClient::new(way).get_vault(request).await }
        })
        .await;
    let returned = Some(tick());
    account.history.note(|seen| seen.again.extend(asked.again));
    match &asked.answer {
        Ok(answer) => match shown(answer.get_ref()) {
            Some(state) => {
                note(account, Op { invoked, returned, call: Call::Read(state) }, asked.timed);
                account.learn(state)?;
                return Ok(Some(state));
            }
            None => account.history.note(|seen| seen.wrong.push("a read without a vault".to_owned())),
        },
        Err(status) if may_pass(status) => account.history.note(|seen| seen.times.push(asked.timed)),
        Err(status) => account.history.note(|seen| seen.wrong.push(words("a read", status))),
    }
    Ok(None)
}

fn note(account: &Account, op: Op, timed: Timed) {
    account.history.note(|seen| {
        seen.ops.push(op);
        seen.times.push(timed);
    });
}

fn words(what: &str, status: &Status) -> String {
    format!("{what}: {:?}: {}", status.code(), status.message())
}
