//! Cells that were asked for, and the way of an order to the one that it was sealed to.

use std::{
    collections::VecDeque,
    sync::{Arc, OnceLock},
    time::Duration,
};

use ocmt_runtime::ArchiveErrand;
use ocmt_types::ContainerId;
use tokio::sync::oneshot;

use crate::{
    api::{container::CellKeyStated, snapshot::SnapshotDone},
    call::Reply,
    env::Scope,
    error::ActorError,
    host::{container::state::Event, message::ArchiveOrder, owner::tell},
    supervisor,
    tenant::container::snapshot::ends::{Finish, Went},
    work::run_system,
};

/// Cells that are asked for beside the one that waits for its key: each is a client that waits too.
const MOST_ASKED: usize = 4;
const GONE: &str = "the cell that was to do it waits no longer: ask for the key of another";
/// The client has sealed a payload within this: meanwhile others of this host may wait.
const PAYLOAD_WITHIN: Duration = Duration::from_secs(30);
pub(super) const HURRIED: Duration = Duration::from_secs(3);

/// An order about a snapshot, with who waits for its end.
pub(in crate::host::container) type Ordered = (Box<ArchiveOrder>, Reply<SnapshotDone>);

/// A cell that was asked for.
pub(in crate::host::container) struct Request {
    pub(super) errand: ArchiveErrand,
    pub(super) reply: Reply<CellKeyStated>,
    /// Told as soon as it is known.
    pub(super) key: Arc<OnceLock<[u8; 32]>>,
    pub(super) orders: oneshot::Receiver<Ordered>,
    /// How long it waits: not long while others wait behind it, whose client may have come in vain.
    pub(super) within: Duration,
}

/// What is next.
pub(in crate::host::container) enum Next {
    /// A client waits for a cell.
    Client(Request),
    /// One by schedule may be due.
    Schedule,
}

/// What was asked for.
enum Asked {
    Client(ArchiveErrand, Reply<CellKeyStated>),
    Schedule,
}

impl Asked {
    fn is_abandoned(&self) -> bool {
        matches!(self, Self::Client(_, reply) if reply.is_abandoned())
    }
}

/// Who waits for the cell's key, and where it is told.
type Waits = (Arc<OnceLock<[u8; 32]>>, oneshot::Sender<Ordered>);
/// Those asked for, oldest first, and the way to the one that waits for its key.
#[derive(Default)]
pub(in crate::host::container) struct Archives {
    asked: VecDeque<Asked>,
    waits: Option<Waits>,
}

impl Archives {
    /// Takes a wish for a cell, or refuses it.
    pub(in crate::host::container) fn ask(
        &mut self,
        errand: ArchiveErrand,
        reply: Reply<CellKeyStated>,
    ) -> Option<Event> {
        self.asked.retain(|asked| !asked.is_abandoned());
        if self.asked.len() >= MOST_ASKED {
            let why = format!("{MOST_ASKED} others wait for a cell of this container: repeat a little later");
            reply.send(Err(ActorError::exhausted("SNAPSHOTS_BUSY", why)));
            return None;
        }
        self.asked.push_back(Asked::Client(errand, reply));
        Some(Event::ArchiveQueued)
    }

    /// One by schedule may be due. Whoever asks for a cell comes first: it is looked for again.
    pub(in crate::host::container) fn look_for_due(&mut self) -> Option<Event> {
        if !self.asked.is_empty() {
            return None;
        }
        self.asked.push_back(Asked::Schedule);
        Some(Event::ArchiveQueued)
    }

    /// Gives the cell that waits what was sealed to it; `false`, and refused, if that cell waits no longer.
    pub(in crate::host::container) fn hand_over(
        &mut self,
        scope: &Scope,
        container: ContainerId,
        ordered: Ordered,
    ) -> bool {
        let meant = |(key, _): &mut (Arc<OnceLock<[u8; 32]>>, _)| key.get() == Some(&ordered.0.cell_key);
        let refused = match self.waits.take_if(meant) {
            Some((_, cell)) => cell.send(ordered).err(),
            None => Some(ordered),
        };
        let Some((order, reply)) = refused else { return true };
        let scope = scope.clone();
        supervisor::detach(async move {
            // its row says that it is under way: it is not, or its timer says so
            let went = Went::Failed(GONE.to_owned());
            let by = order.cell_key;
            let written = run_system(&scope, Finish { container, snapshot: order.snapshot, by, went }).await;
            if let Ok((_, effects)) = written {
                tell(&scope, effects);
            }
            reply.send(Err(ActorError::precondition("SNAPSHOT_CELL_GONE", GONE)));
        });
        false
    }

    /// The next one that somebody still waits for.
    pub(in crate::host::container) fn next(&mut self) -> Option<Next> {
        while let Some(asked) = self.asked.pop_front() {
            let (errand, reply) = match asked {
                Asked::Client(_, reply) if reply.is_abandoned() => continue,
                Asked::Client(errand, reply) => (errand, reply),
                Asked::Schedule => {
                    self.waits = None;
                    return Some(Next::Schedule);
                }
            };
            let ((cell, orders), key) = (oneshot::channel(), Arc::default());
            self.waits = Some((Arc::clone(&key), cell));
            let within = if self.asked.is_empty() { PAYLOAD_WITHIN } else { HURRIED };
            return Some(Next::Client(Request { errand, reply, key, orders, within }));
        }
        None
    }

    pub(in crate::host::container) fn refuse(&mut self, error: &ActorError) {
        self.waits = None;
        for asked in self.asked.drain(..) {
            if let Asked::Client(_, reply) = asked {
                reply.send(Err(error.clone()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ocmt_store::testing::id;

    use super::*;

    #[test]
    fn four_wait_for_a_cell_of_a_container_and_whoever_gave_up_takes_no_place() {
        let mut archives = Archives::default();
        let mut waiting = Vec::new();
        for n in 0..MOST_ASKED as u64 {
            let (reply, answer) = Reply::new(id(n), None);
            assert!(archives.ask(ArchiveErrand::Take, reply).is_some());
            waiting.push(answer);
        }
        let (reply, mut answer) = Reply::new(id(9), None);
        assert!(archives.ask(ArchiveErrand::Take, reply).is_none());
        let refused = answer.try_recv().unwrap().err().unwrap();
        assert_eq!(refused.reason(), "SNAPSHOTS_BUSY");
        waiting.pop();
        let (reply, _answer) = Reply::new(id(9), None);
        assert!(archives.ask(ArchiveErrand::Take, reply).is_some());
        assert_eq!(archives.asked.len(), MOST_ASKED);
    }

    #[test]
    fn a_look_at_the_schedule_stands_in_no_clients_way_and_is_there_once() {
        let mut archives = Archives::default();
        assert!(archives.look_for_due().is_some());
        assert!(archives.look_for_due().is_none(), "one look sees it all");
        let (reply, _answer) = Reply::new(id(1), None);
        assert!(archives.ask(ArchiveErrand::Take, reply).is_some());
        assert!(matches!(archives.next(), Some(Next::Schedule)));
        assert!(archives.look_for_due().is_none(), "a client waits for a cell");
        assert!(matches!(archives.next(), Some(Next::Client(_))));
        assert!(archives.next().is_none());
    }
}
