//! A person: asks whichever node, keeps asking where a person would, and tells the oracle what came of it.

use std::{
    sync::Arc,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use ocmt_actors::ActorError;
use ocmt_types::TenantId;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use super::{
    ask::{Answer, Ask, What},
    machine::PORT,
    mail::Brings,
    seen::Seen,
    wire::{NoAnswer, Parcel},
    world::Tree,
};

/// Tenants of a run.
pub(crate) const TENANTS: u64 = 3;
/// How long a call may take, forwarding included.
const CALL: Duration = Duration::from_secs(8);
/// How long somebody waits for a mail.
const MAIL: Duration = Duration::from_secs(4);

/// What came of a call.
pub(crate) enum Outcome {
    /// It was done.
    Done(Answer),
    /// It was not.
    Refused(ActorError),
    /// Nobody knows.
    Unknown,
}

impl Outcome {
    /// The answer, if it was done.
    pub(crate) fn done(self) -> Option<Answer> {
        match self {
            Self::Done(answer) => Some(answer),
            Self::Refused(_) | Self::Unknown => None,
        }
    }
}

/// Somebody with an address, and with a session once they have signed in.
pub(crate) struct Person {
    pub(crate) tree: Tree,
    /// The number of their tenant.
    pub(crate) n: u64,
    pub(crate) email: String,
    pub(crate) tenant: Option<TenantId>,
    pub(crate) token: String,
    pub(crate) rng: StdRng,
    ops: Arc<AtomicU64>,
}

/// The owner's address of a tenant.
pub(crate) fn owner(n: u64) -> String {
    format!("owner{n}@example.com")
}

/// The address of its other user.
pub(crate) fn member(n: u64) -> String {
    format!("member{n}@example.com")
}

impl Person {
    /// Nobody yet. `place` sets the operations of this one apart from those of others.
    pub(crate) fn new(tree: Tree, n: u64, email: String, place: u64) -> Self {
        let rng = StdRng::seed_from_u64(tree.ground.seed ^ (place + 77) << 40);
        let ops = Arc::new(AtomicU64::new(place * 1_000_000));
        Self { tree, n, email, tenant: None, token: String::new(), rng, ops }
    }

    /// The next operation's number.
    pub(crate) fn op(&self) -> u64 {
        self.ops.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Whether chance says so, once in `of`.
    pub(crate) fn once_in(&mut self, of: u32) -> bool {
        self.rng.random_range(0..of) == 0
    }

    /// Any machine.
    pub(crate) fn any(&mut self) -> usize {
        self.rng.random_range(0..self.tree.ground.machines.len())
    }

    /// Asks one machine.
    pub(crate) async fn ask(&self, machine: usize, ask: Ask) -> Outcome {
        let parcel = Parcel::Ask(Box::new(ask), 0, CALL);
        match self.tree.call(&format!("n{}:{PORT}", machine + 1), parcel, CALL).await {
            Ok(Parcel::Answered(answer)) => match *answer {
                Ok(answer) => Outcome::Done(answer),
                Err(error) if error.outcome_unknown() => Outcome::Unknown,
                Err(error) => Outcome::Refused(error),
            },
            Ok(_) | Err(NoAnswer::Lost) => Outcome::Unknown,
            Err(NoAnswer::Unsent) => {
                Outcome::Refused(ActorError::unavailable("UNSENT", "no connection to the node"))
            }
        }
    }

    /// The call of this session.
    pub(crate) fn call(&self, what: What, key: Option<u64>) -> Option<Ask> {
        let key = key.map(|op| {
            let mut key = [0; 16];
            key[..8].copy_from_slice(&op.to_be_bytes());
            key
        });
        Some(Ask::Call { tenant: self.tenant?, token: self.token.clone(), key, what })
    }

    /// Asks one machine something in the session, on the record.
    pub(crate) async fn does(&self, machine: usize, name: &'static str, what: What) -> Outcome {
        let op = self.op();
        let Some(call) = self.call(what, Some(op)) else { return Outcome::Unknown };
        self.tree.saw(Seen::Asked { op, tenant: self.n, what: name, object: None });
        let outcome = self.ask(machine, call).await;
        self.tree.saw(match &outcome {
            Outcome::Done(Answer::Vault(counter, _)) => Seen::Read { op, counter: *counter },
            Outcome::Done(answer) => Seen::Done { op, what: told(answer) },
            Outcome::Refused(error) => Seen::Refused { op, why: error.reason().to_owned() },
            Outcome::Unknown => Seen::Unknown { op },
        });
        outcome
    }

    /// Thinks for a while.
    pub(crate) async fn thinks(&mut self, most_ms: u64) {
        let ms = self.rng.random_range(most_ms / 8..most_ms);
        tokio::time::sleep(Duration::from_millis(ms)).await; // why: people think between their calls
    }

    /// Asks for a link or the like, waits for the mail, and turns its token into a session.
    pub(crate) async fn enters(&mut self, by: Option<Ask>, brings: Brings) -> bool {
        let before = if by.is_some() { self.tree.mail.tokens(&self.email, brings).len() } else { 0 };
        if let Some(ask) = by {
            let machine = self.any();
            if self.ask(machine, ask).await.done().is_none() {
                return false;
            }
        }
        let Some(token) = self.mailed(brings, before).await else { return false };
        let enter = if brings == Brings::Invite { Ask::Join(token) } else { Ask::Exchange(token) };
        let machine = self.any();
        match self.ask(machine, enter).await {
            Outcome::Done(Answer::Session(token, tenant)) => {
                self.token = token;
                self.tenant = Some(tenant);
                self.tree.note(format!("{} has signed in", self.email));
                true
            }
            _ => false,
        }
    }

    async fn mailed(&self, brings: Brings, before: usize) -> Option<String> {
        let mut waited = Duration::ZERO;
        while waited < MAIL {
            let mut tokens = self.tree.mail.tokens(&self.email, brings).into_iter().skip(before);
            // of invitations and links the last one is good, of sign-ups one is to be used
            let token = if brings == Brings::SignUp { tokens.next() } else { tokens.last() };
            if token.is_some() {
                return token;
            }
            let step = Duration::from_millis(50);
            tokio::time::sleep(step).await; // why: the mail is under way, in simulated time
            waited += step;
        }
        None
    }
}

/// What is told of an answer in the trace: nothing that the seed does not decide.
fn told(answer: &Answer) -> String {
    match answer {
        Answer::Heard | Answer::Session(..) => String::new(),
        Answer::Wrote(counter) | Answer::Vault(counter, _) => counter.to_string(),
        Answer::Container(info) => format!("{} {:?} g{}", info.id, info.state, info.generation),
        Answer::Containers(all) => format!("{} containers", all.len()),
    }
}
