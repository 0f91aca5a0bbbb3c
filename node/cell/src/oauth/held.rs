//! What is held of one connection, what to do when a program wants its token (pure), and whether the vault has it.

use std::{sync::Arc, time::Duration};

use ocmt_crypto::connect::Tokens;
use ocmt_types::Timestamp;
use tokio::{
    sync::{oneshot, watch},
    time::timeout,
};

use super::Keep;
use crate::{CellError, inbox::Settled, tasks::Task};

/// Tokens are renewed this long before they end, or at a tenth of their life if that is sooner.
const BEFORE_THE_END: Duration = Duration::from_secs(60);
/// A token that is this new is given, whatever its provider says of its end.
const SHORTEST: Duration = Duration::from_secs(1);
/// Tokens on their way to the vault are waited for so long.
const REST: Duration = Duration::from_secs(5);
/// After a renewal that failed.
const AGAIN_AFTER: Duration = Duration::from_secs(10);

/// What is held.
#[derive(Default)]
pub(super) struct Held {
    pub(super) tokens: Option<Tokens>,
    /// The provider said that these are over.
    pub(super) ended: bool,
    tried_at: Option<Timestamp>,
    /// Of the last tokens that were sent to the vault.
    receipt: Option<Receipt>,
}

/// What became of tokens on their way to the vault; nothing as long as that is not known.
#[derive(Clone)]
pub struct Receipt {
    told: watch::Receiver<Option<Settled>>,
    _task: Option<Arc<Task>>,
}

impl Receipt {
    fn of(kept: Result<oneshot::Receiver<Settled>, CellError>) -> Self {
        let (told, receipt) = watch::channel(None);
        match kept {
            Ok(settled) => {
                let task = Task::start(async move {
                    let settled = settled.await.unwrap_or_else(|_| Err("nothing was said of it".to_owned()));
                    // whoever wanted to know may be gone
                    let _ = told.send(Some(settled));
                });
                Self { told: receipt, _task: Some(Arc::new(task)) }
            }
            Err(error) => {
                tracing::warn!(%error, "tokens are not kept for the next unlock");
                told.send_replace(Some(Err(error.to_string())));
                Self { told: receipt, _task: None }
            }
        }
    }

    fn now(&self) -> Option<Settled> {
        self.told.borrow().clone()
    }

    /// Waits for it so long.
    pub async fn within(&mut self, patience: Duration) -> Option<Settled> {
        let told = timeout(patience, self.told.wait_for(Option::is_some)).await;
        told.ok().and_then(Result::ok).and_then(|settled| settled.clone())
    }
}

/// What to do for a program that wants the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plan {
    /// Give the one that is there.
    Give,
    /// Get the next one first.
    Renew,
    /// There is none and none to be got: connect anew.
    Connect,
    /// A renewal has just failed, and the one that is there is over.
    Later,
}

impl Held {
    pub(super) fn of(tokens: Option<Tokens>) -> Self {
        Self { tokens, ..Self::default() }
    }

    pub(super) fn plan(&self, now: Timestamp) -> Plan {
        let Some(tokens) = self.tokens.as_ref().filter(|_| !self.ended) else { return Plan::Connect };
        let Some(ends) = tokens.expires_at else { return Plan::Give };
        // a provider that gives tokens which are over at once is not asked for ever
        if now < tokens.obtained_at + SHORTEST {
            return Plan::Give;
        }
        let early = BEFORE_THE_END.min(ends.since(tokens.obtained_at) / 10);
        if now + early < ends {
            return Plan::Give;
        }
        let over = now >= ends;
        if tokens.refresh.is_none() {
            return if over { Plan::Connect } else { Plan::Give };
        }
        match self.tried_at {
            Some(tried) if tried <= now && now < tried + AGAIN_AFTER => {
                if over {
                    Plan::Later
                } else {
                    Plan::Give
                }
            }
            _ => Plan::Renew,
        }
    }

    /// From now on these are the tokens; they are sent to the vault.
    pub(super) fn got(&mut self, tokens: Tokens, keep: &dyn Keep) -> Receipt {
        let receipt = Receipt::of(keep.keep(&tokens));
        *self = Self { receipt: Some(receipt.clone()), ..Self::of(Some(tokens)) };
        receipt
    }

    /// Whether the vault has them, or had them before. What it refused is sent once more.
    pub(super) fn is_stored(&mut self, keep: &dyn Keep) -> bool {
        match self.receipt.as_ref().map(Receipt::now) {
            None | Some(Some(Ok(()))) => true,
            Some(None) => false,
            Some(Some(Err(_))) => {
                self.receipt = self.tokens.as_ref().map(|tokens| Receipt::of(keep.keep(tokens)));
                false
            }
        }
    }

    /// Waits until nothing of them is on its way.
    pub(super) async fn comes_to_rest(&mut self) -> bool {
        match &mut self.receipt {
            Some(receipt) => receipt.within(REST).await.is_some(),
            None => true,
        }
    }

    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        self.tokens.as_ref().and_then(|tokens| tokens.expires_at).is_some_and(|ends| now >= ends)
    }

    pub(super) fn failed(&mut self, for_good: bool, now: Timestamp) {
        self.ended |= for_good;
        self.tried_at = Some(now);
        if for_good {
            // a refresh token that was shown after its end is one that somebody else may have shown
            self.tokens = None;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ocmt_crypto::connect::ProviderName;
    use ocmt_types::Secret;

    use super::*;

    fn held(lasts_s: Option<u64>, refresh: bool) -> Held {
        Held::of(Some(Tokens {
            provider: ProviderName::new("git").unwrap(),
            client_id: "ocmt".to_owned(),
            access: Secret::new("a".to_owned()),
            refresh: refresh.then(|| Secret::new("r".to_owned())),
            scopes: Vec::new(),
            expires_at: lasts_s.map(|lasts| at(0) + Duration::from_secs(lasts)),
            obtained_at: at(0),
        }))
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp(1_000_000 + seconds * 1000)
    }

    #[test]
    fn a_token_is_renewed_before_its_end_and_not_earlier() {
        let hour = held(Some(3600), true);
        assert_eq!(
            (hour.plan(at(3539)), hour.plan(at(3540)), hour.plan(at(9999))),
            (Plan::Give, Plan::Renew, Plan::Renew)
        );
        let short = held(Some(20), true);
        assert_eq!((short.plan(at(17)), short.plan(at(18))), (Plan::Give, Plan::Renew));
        assert_eq!(held(None, true).plan(at(1_000_000)), Plan::Give);
        let dead = held(Some(0), true);
        assert_eq!((dead.plan(at(0)), dead.plan(at(1))), (Plan::Give, Plan::Renew));
    }

    #[test]
    fn without_a_refresh_token_it_is_given_to_its_end() {
        let held = held(Some(3600), false);
        assert_eq!((held.plan(at(3599)), held.plan(at(3600))), (Plan::Give, Plan::Connect));
        assert_eq!(Held::default().plan(at(0)), Plan::Connect);
    }

    #[test]
    fn after_a_failure_the_provider_is_left_alone_for_a_while() {
        let mut held = held(Some(3600), true);
        held.failed(false, at(3545));
        assert_eq!((held.plan(at(3554)), held.plan(at(3555))), (Plan::Give, Plan::Renew));
        held.failed(false, at(3599));
        assert_eq!((held.plan(at(3600)), held.plan(at(3609))), (Plan::Later, Plan::Renew));
        held.failed(true, at(3610));
        assert_eq!(held.plan(at(9999)), Plan::Connect);
        assert!(held.tokens.is_none(), "tokens that are over were kept");
    }
}
