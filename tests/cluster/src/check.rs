//! Whether one vault, taking calls one at a time, could have shown all that was seen of it
//! (linearizability, Herlihy and Wing 1990).
//!
//! A vault is a register with versions: each swap goes on from a version and makes the next. So the
//! order of writes is given, and what is left to find is one moment for each version, with
//! `version v begins after` its write was sent, after every read of the version before was sent, and after
//! version v - 1 began; `and before` its write was answered and before any read of it was answered. Each
//! moment is taken as early as those lower bounds allow, which is best for all upper bounds; a refused swap
//! raises a lower bound only when nothing else explains it. That makes the check exact and nearly linear,
//! where a search over orders is exponential in calls without an answer. A property test holds it against
//! such a search (Stateright's `LinearizabilityTester`) on small histories.

use std::collections::BTreeMap;

use crate::history::{Call, Op, State, Swapped};

/// What no single vault can have shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// A version shows two contents: two writes were acknowledged for it, or an acknowledged one was lost.
    TwoContents(u64),
    /// A version was seen that nobody wrote, or whose write had been refused.
    FromNowhere(u64),
    /// A version began after it was seen or acknowledged: some call saw an older state than one that
    /// had ended before it began.
    Stale(u64),
    /// A swap was refused although the vault was at the version it expected all the time.
    RefusedWrongly(u64),
}

/// Checks a history that begins in `first`.
///
/// # Errors
/// The first [`Violation`] found.
pub fn linearizable(first: State, ops: &[Op]) -> Result<(), Violation> {
    let contents = contents(first, ops)?;
    let top = contents.keys().next_back().copied().unwrap_or(first.version);
    let writers = writers(first, top, &contents, ops)?;
    let mut bounds = Bounds::of(first, &writers, ops);
    loop {
        let begins = bounds.earliest();
        let Some((version, after)) = unexplained(first, &begins, ops)? else {
            return bounds.hold(&begins);
        };
        bounds.raise(version, after);
    }
}

/// When an acknowledged or possible write of a version was sent and answered.
#[derive(Debug, Clone, Copy)]
struct Writer {
    version: u64,
    sent: u64,
    answered: Option<u64>,
}

/// What each version that somebody saw or had acknowledged holds.
fn contents(first: State, ops: &[Op]) -> Result<BTreeMap<u64, u64>, Violation> {
    let mut contents = BTreeMap::from([(first.version, first.content)]);
    let mut acknowledged = BTreeMap::new();
    for op in ops {
        let state = match op.call {
            Call::Read(state) => state,
            Call::Swap { expected, content, ended: Swapped::Done } => {
                let version = expected.saturating_add(1);
                if acknowledged.insert(version, content).is_some() {
                    return Err(Violation::TwoContents(version));
                }
                State { version, content }
            }
            Call::Swap { .. } => continue,
        };
        if state.version < first.version {
            return Err(Violation::Stale(state.version));
        }
        if *contents.entry(state.version).or_insert(state.content) != state.content {
            return Err(Violation::TwoContents(state.version));
        }
    }
    Ok(contents)
}

/// The write of each version after the first, in order: of several that may have made an unseen one, that
/// which was sent first, since it leaves the most room.
fn writers(
    first: State,
    top: u64,
    contents: &BTreeMap<u64, u64>,
    ops: &[Op],
) -> Result<Vec<Writer>, Violation> {
    let mut makers: BTreeMap<u64, &Op> = BTreeMap::new();
    for op in ops {
        let Call::Swap { expected, content, ended } = op.call else { continue };
        let version = expected.saturating_add(1);
        if ended == Swapped::Refused || contents.get(&version).is_some_and(|seen| *seen != content) {
            continue;
        }
        // answered first: an acknowledged write is the one that made it
        let rank = |op: &Op| (op.returned.is_none(), op.invoked);
        let maker = makers.entry(version).or_insert(op);
        if rank(op) < rank(maker) {
            *maker = op;
        }
    }
    let mut writers = Vec::new();
    for version in first.version.saturating_add(1).. {
        let Some(op) = makers.get(&version) else {
            // past the last version seen, there may or may not have been more
            return if version > top { Ok(writers) } else { Err(Violation::FromNowhere(version)) };
        };
        writers.push(Writer { version, sent: op.invoked, answered: op.returned });
    }
    Ok(writers)
}

/// For each version after the first: what its beginning comes after, and before.
struct Bounds(Vec<(u64, u64, u64)>);

impl Bounds {
    fn of(first: State, writers: &[Writer], ops: &[Op]) -> Self {
        let mut bounds: Vec<_> = writers
            .iter()
            .map(|writer| (writer.version, writer.sent, writer.answered.unwrap_or(u64::MAX)))
            .collect();
        let place = |version: u64| {
            version.checked_sub(first.version + 1).and_then(|place| usize::try_from(place).ok())
        };
        for op in ops {
            let Call::Read(state) = op.call else { continue };
            // it is read after it began, and before the next did
            if let Some(bound) = place(state.version).and_then(|place| bounds.get_mut(place)) {
                bound.2 = bound.2.min(op.returned.unwrap_or(u64::MAX));
            }
            if let Some(next) = place(state.version + 1).and_then(|place| bounds.get_mut(place)) {
                next.1 = next.1.max(op.invoked);
            }
        }
        Self(bounds)
    }

    /// The earliest beginnings: just after those moments, in order.
    fn earliest(&self) -> BTreeMap<u64, u64> {
        let mut last = 0;
        let begin = |&(version, after, _): &(u64, u64, u64)| {
            last = after.max(last);
            (version, last)
        };
        self.0.iter().map(begin).collect()
    }

    fn raise(&mut self, version: u64, after: u64) {
        for bound in self.0.iter_mut().filter(|bound| bound.0 == version) {
            bound.1 = bound.1.max(after);
        }
    }

    fn hold(&self, begins: &BTreeMap<u64, u64>) -> Result<(), Violation> {
        let late = |&&(version, _, before): &&(u64, u64, u64)| {
            begins.get(&version).is_some_and(|begin| *begin >= before)
        };
        self.0.iter().find(late).map_or(Ok(()), |(version, _, _)| Err(Violation::Stale(*version)))
    }
}

/// A refused swap that these beginnings do not explain: its version must begin after it was sent.
fn unexplained(
    first: State,
    begins: &BTreeMap<u64, u64>,
    ops: &[Op],
) -> Result<Option<(u64, u64)>, Violation> {
    for op in ops {
        let Call::Swap { expected, ended: Swapped::Refused, .. } = op.call else { continue };
        let began = match begins.get(&expected) {
            Some(began) => *began,
            None if expected == first.version => 0,
            // a version that never was: refused rightly
            None => continue,
        };
        let over = begins.get(&(expected + 1)).is_some_and(|next| Some(*next) < op.returned);
        if over || (began >= op.invoked && expected != first.version) {
            continue;
        }
        if expected == first.version {
            return Err(Violation::RefusedWrongly(expected));
        }
        return Ok(Some((expected, op.invoked)));
    }
    Ok(None)
}
