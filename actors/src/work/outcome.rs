//! What a piece of work leaves to the actor in whose lane it ran.

use ocmt_types::MessageId;

use crate::{effect::Effect, error::ActorError};

/// Answers the caller: given when the actor has applied the effects.
pub(crate) type Answer = Box<dyn FnOnce(Result<(), ActorError>) + Send>;

/// One answer for those who wait for the same.
pub(crate) fn both(first: Option<Answer>, second: Option<Answer>) -> Option<Answer> {
    match (first, second) {
        (Some(first), Some(second)) => Some(Box::new(|instead| {
            first(instead.clone());
            second(instead);
        })),
        (first, second) => first.or(second),
    }
}

/// What a piece of work leaves to its actor.
#[derive(Default)]
pub(crate) struct Outcome {
    /// To apply first.
    pub(crate) effects: Vec<Effect>,
    /// Then to answer. An `Err` given to it replaces the answer.
    pub(crate) answer: Option<Answer>,
    /// Not before this message was taken.
    pub(crate) answer_after: Option<MessageId>,
    /// It was a look at the timers.
    pub(crate) looked: bool,
    /// The ownership is gone or the truth is not known: the actor stops.
    pub(crate) terminal: bool,
}

impl Outcome {
    /// This, and then another.
    pub(super) fn join(&mut self, mut other: Self) {
        self.effects.append(&mut other.effects);
        self.answer = both(self.answer.take(), other.answer);
        self.answer_after = self.answer_after.or(other.answer_after);
        self.looked |= other.looked;
        self.terminal |= other.terminal;
    }
}
