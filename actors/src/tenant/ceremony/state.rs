//! A ceremony as a pure machine: `open → ready → released → completed`, or one of the ways to be stopped.
//!
//! One that overrides a stop begins as `proposed`: guardians of k + 1 units sign for it before it opens, and then neither
//! veto nor lock stops it, only the retirement of its set. Until it opens a veto signed by the owner's key ends it too.
//!
//! One of an owner who has lost the mailbox too begins as `proposed` as well: guardians of k units sign for it, and everything
//! stops it that stops any other, before it opens and after.
//!
//! It only moves forward. It is released when k units have approved *and* the delay, counted from the
//! hand-over of the owner's notice, has passed *and* nothing has stopped it; each guardian counts once.

use std::{collections::BTreeMap, time::Duration};

use ocmt_types::{GuardianshipId, Timestamp};

use crate::{api::recovery::CeremonyState, error::ActorError};

/// Where a ceremony is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::tenant) struct Progress {
    pub(in crate::tenant) stage: CeremonyState,
    /// k.
    pub(in crate::tenant) needed: u32,
    /// n.
    pub(in crate::tenant) total: u32,
    /// From the hand-over of the notice to the earliest release.
    pub(in crate::tenant) delay: Duration,
    /// It goes on over a veto or a lock.
    pub(in crate::tenant) overrides: bool,
    /// Its requester is known by a guardian's word alone.
    pub(in crate::tenant) lost_mailbox: bool,
    /// Guardians who signed for it to open, and their units.
    pub(in crate::tenant) agreed: BTreeMap<GuardianshipId, u32>,
    /// Guardians who approved, and their units.
    pub(in crate::tenant) approved: BTreeMap<GuardianshipId, u32>,
    /// Guardians who denied, and their units.
    pub(in crate::tenant) denied: BTreeMap<GuardianshipId, u32>,
    /// When a channel of the owner took the notice.
    pub(in crate::tenant) notified_at: Option<Timestamp>,
    /// It is over from then on.
    pub(in crate::tenant) expires_at: Timestamp,
    pub(in crate::tenant) released_at: Option<Timestamp>,
    pub(in crate::tenant) ended_at: Option<Timestamp>,
}

/// What happens to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tenant) enum Event {
    /// Time has passed.
    Look,
    /// A carrier took the owner's notice.
    Notified,
    /// A guardian signed for it to open, with these units.
    Agreed(GuardianshipId, u32),
    /// A guardian approved with these units.
    Approved(GuardianshipId, u32),
    /// A guardian denied.
    Denied(GuardianshipId, u32),
    /// A guardian is not sure.
    Doubted,
    /// A guardian stopped it.
    Locked,
    /// The owner stopped it.
    Vetoed,
    /// The owner stopped it, who has the vault open: signed by its key.
    VetoedByKey,
    /// Its set counts no more.
    Retired,
    /// The requester gave it up.
    Cancelled,
    /// The requester wants the approvals.
    Collect,
    /// The requester finished.
    Completed,
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tenant) enum Refused {
    /// It is released: nothing is said in it any more.
    Released,
    /// It has ended.
    Over,
    /// It is not released yet.
    NotReleased,
    /// This guardian has approved or denied already.
    Decided,
    /// Too few have signed for it yet.
    Proposed,
    /// It is open: nobody signs for it any more.
    Opened,
    /// It overrides a veto or a lock.
    Overrides,
}

impl From<Refused> for ActorError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Released => Self::precondition("CEREMONY_RELEASED", "the ceremony is released already"),
            Refused::Over => Self::precondition("CEREMONY_OVER", "the ceremony has ended"),
            Refused::NotReleased => Self::precondition(
                "CEREMONY_NOT_RELEASED",
                "approvals or the delay are missing: wait, or ask the guardians",
            ),
            Refused::Decided => {
                Self::precondition("ALREADY_DECIDED", "this guardian has approved or denied already")
            }
            Refused::Proposed => Self::precondition(
                "CEREMONY_PROPOSED",
                "guardians have to sign for it before it opens: enough have not yet",
            ),
            Refused::Opened => {
                Self::precondition("CEREMONY_OPENED", "enough guardians have signed for it: it is open")
            }
            Refused::Overrides => Self::precondition(
                "CEREMONY_OVERRIDES",
                "it goes on over a stop: neither veto nor lock stops it; its owner can retire the guardians with \
                 the vault open",
            ),
        }
    }
}

impl Progress {
    /// One step. `Ok` lists the stages entered, in order. After a refusal nothing of it is to be kept.
    pub(in crate::tenant) fn step(
        &mut self,
        event: Event,
        now: Timestamp,
    ) -> Result<Vec<CeremonyState>, Refused> {
        let mut entered = Vec::new();
        self.pass(now, &mut entered);
        match event {
            Event::Look => {}
            Event::Notified => {
                // a notice that is taken late or twice changes nothing
                let told = self.stage.is_live() && self.stage != CeremonyState::Proposed;
                if told && self.notified_at.is_none() {
                    self.notified_at = Some(now);
                }
            }
            Event::Agreed(by, units) => {
                self.live()?;
                if self.stage != CeremonyState::Proposed {
                    return Err(Refused::Opened);
                }
                if self.denied.contains_key(&by) {
                    return Err(Refused::Decided);
                }
                self.agreed.insert(by, units);
            }
            Event::Approved(by, units) => {
                self.opened()?;
                self.may_decide(by)?;
                self.approved.insert(by, units);
            }
            Event::Denied(by, units) => {
                self.may_deny(by)?;
                self.denied.insert(by, units);
            }
            Event::Doubted => self.still_asked()?,
            Event::Locked => {
                self.stoppable()?;
                self.end(CeremonyState::Locked, now, &mut entered);
            }
            Event::Vetoed => {
                self.stoppable()?;
                self.end(CeremonyState::Vetoed, now, &mut entered);
            }
            Event::VetoedByKey => {
                self.live()?;
                // a session alone does not end what is proposed, or whoever took the account would end each
                if self.stage != CeremonyState::Proposed {
                    self.stoppable()?;
                }
                self.end(CeremonyState::Vetoed, now, &mut entered);
            }
            Event::Retired => {
                self.live()?;
                self.end(CeremonyState::Vetoed, now, &mut entered);
            }
            Event::Cancelled => {
                self.live()?;
                self.end(CeremonyState::Cancelled, now, &mut entered);
            }
            Event::Collect => self.released()?,
            Event::Completed => {
                self.released()?;
                self.end(CeremonyState::Completed, now, &mut entered);
            }
        }
        self.pass(now, &mut entered);
        Ok(entered)
    }

    /// When the delay will have passed; none while it does not count.
    pub(in crate::tenant) fn matures_at(&self) -> Option<Timestamp> {
        self.notified_at.map(|at| at + self.delay)
    }

    /// When to look again; none once it has ended.
    pub(in crate::tenant) fn next_look(&self) -> Option<Timestamp> {
        match (self.stage, self.matures_at()) {
            (CeremonyState::Ready, Some(at)) => Some(at.min(self.expires_at)),
            (stage, _) if stage.is_live() => Some(self.expires_at),
            _ => None,
        }
    }

    /// Whether guardians sign for it before it opens.
    pub(in crate::tenant) fn is_signed_for(&self) -> bool {
        self.overrides || self.lost_mailbox
    }

    /// Units that have to sign before it opens.
    fn to_open(&self) -> u32 {
        if self.overrides { self.needed.saturating_add(1) } else { self.needed }
    }

    /// Units that have signed, and whose guardians have not denied since.
    fn agreed_units(&self) -> u32 {
        self.agreed.iter().filter(|(by, _)| !self.denied.contains_key(by)).map(|(_, units)| units).sum()
    }

    fn is_denied(&self) -> bool {
        self.total.saturating_sub(self.denied.values().sum()) < self.needed
    }

    /// Units approved.
    pub(in crate::tenant) fn approved_units(&self) -> u32 {
        self.approved.values().sum()
    }

    /// What follows from the time and the counts alone.
    fn pass(&mut self, now: Timestamp, entered: &mut Vec<CeremonyState>) {
        if self.stage.is_live() && now >= self.expires_at {
            return self.end(CeremonyState::Expired, now, entered);
        }
        if self.stage == CeremonyState::Proposed && self.is_denied() {
            return self.end(CeremonyState::Denied, now, entered);
        }
        if self.stage == CeremonyState::Proposed && self.agreed_units() >= self.to_open() {
            self.stage = CeremonyState::Open;
            entered.push(self.stage);
        }
        if self.stage == CeremonyState::Open {
            if self.approved_units() >= self.needed {
                self.stage = CeremonyState::Ready;
                entered.push(self.stage);
            } else if self.is_denied() {
                return self.end(CeremonyState::Denied, now, entered);
            }
        }
        if self.stage == CeremonyState::Ready && self.matures_at().is_some_and(|at| now >= at) {
            self.stage = CeremonyState::Released;
            self.released_at = Some(now);
            entered.push(self.stage);
        }
    }

    fn end(&mut self, stage: CeremonyState, now: Timestamp, entered: &mut Vec<CeremonyState>) {
        self.stage = stage;
        self.ended_at = Some(now);
        entered.push(stage);
    }

    fn live(&self) -> Result<(), Refused> {
        if self.stage.is_live() { Ok(()) } else { Err(Refused::Over) }
    }

    /// Guardians and owner are still asked.
    fn still_asked(&self) -> Result<(), Refused> {
        self.live()?;
        if self.stage == CeremonyState::Released { Err(Refused::Released) } else { Ok(()) }
    }

    /// By veto or lock.
    fn stoppable(&self) -> Result<(), Refused> {
        self.still_asked()?;
        if self.overrides { Err(Refused::Overrides) } else { Ok(()) }
    }

    fn released(&self) -> Result<(), Refused> {
        self.live()?;
        if self.stage == CeremonyState::Released { Ok(()) } else { Err(Refused::NotReleased) }
    }

    /// Enough have signed for it, where anybody has to.
    fn opened(&self) -> Result<(), Refused> {
        self.live()?;
        if self.stage == CeremonyState::Proposed { Err(Refused::Proposed) } else { Ok(()) }
    }

    /// What goes on over a stop is denied once it is open: until then not to sign is enough.
    fn may_deny(&self, by: GuardianshipId) -> Result<(), Refused> {
        if !self.lost_mailbox {
            self.opened()?;
        }
        self.may_decide(by)
    }

    fn may_decide(&self, by: GuardianshipId) -> Result<(), Refused> {
        self.still_asked()?;
        if self.approved.contains_key(&by) || self.denied.contains_key(&by) {
            return Err(Refused::Decided);
        }
        Ok(())
    }
}
