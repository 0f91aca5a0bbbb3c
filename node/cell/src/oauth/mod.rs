//! Connections of the workload to other people's services: OAuth 2 with PKCE, made and kept in the cell.
//!
//! Which providers there are, how they are reached and with which secret comes out of the user's vault with the unlock,
//! and with it what was connected before. [`flow`] and [`held`] decide (pure), [`endpoints`], [`exchange`] and [`fetch`]
//! speak to providers, over [`reach`]; [`crate::cell`] seals what comes of it for the vault.

mod endpoints;
mod exchange;
mod fetch;
mod flow;
mod held;
mod problem;
pub mod reach;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use ocmt_crypto::{
    connect::{Answer, Offered, ProviderName, ProviderSettings, Tokens, tokens_entry},
    entry::EntryName,
    pkce::Verifier,
    unlock::UnlockKey,
};
use ocmt_types::{AuthorizationId, Timestamp, UnlockId};
use tokio::sync::{OnceCell, RwLock, RwLockReadGuard, oneshot};
use zeroize::Zeroizing;

pub use self::held::Receipt;
use self::{
    endpoints::Described,
    fetch::Fetch,
    flow::{Flow, Flows, LIFETIME_MS},
    held::{Held, Plan},
    problem::Problem,
    reach::Reach,
};
use crate::{CellError, inbox::Settled};

/// A wish for a connection.
pub struct Wish {
    /// Chosen by the owner.
    pub authorization: AuthorizationId,
    /// With whom.
    pub provider: ProviderName,
    /// For what; empty for what the settings say.
    pub scopes: Vec<String>,
    /// Where the browser comes back to.
    pub redirect: String,
    /// What it comes back with.
    pub state: String,
}

/// Where the browser goes, and that this cell says so.
#[derive(Debug)]
pub struct Begun {
    /// The address.
    pub url: String,
    /// MAC over it.
    pub proof: [u8; 32],
    /// The unlock it is made in.
    pub unlock: UnlockId,
}

/// What an unlock gave of one provider.
pub struct Given {
    /// How it is reached.
    pub settings: ProviderSettings,
    /// What was got before.
    pub tokens: Option<Tokens>,
}

/// All connections of one unlock.
pub struct Connections {
    unlock: UnlockId,
    key: UnlockKey,
    providers: BTreeMap<ProviderName, Connection>,
    flows: Mutex<Flows>,
    /// Read over each exchange; a lock writes.
    exchanges: RwLock<()>,
}

/// What came back is of nothing that is under way.
const GONE: CellError = CellError::Invalid(
    "the cell does not wait for this: it was finished, is over 10 min old, or the cell was locked since; begin again",
);

struct Connection {
    settings: ProviderSettings,
    fetch: Result<Fetch, Problem>,
    /// Where it is asked; found out once.
    described: OnceCell<Described>,
    /// Held over a renewal: of many who want the token one gets it.
    held: tokio::sync::Mutex<Held>,
}

impl Connection {
    fn fetch(&self) -> Result<&Fetch, CellError> {
        self.fetch.as_ref().map_err(|problem| problem.clone().of(&self.settings.name))
    }

    async fn described(&self, fetch: &Fetch) -> Result<&Described, Problem> {
        self.described.get_or_try_init(|| endpoints::describe(&self.settings, fetch)).await
    }
}

/// Where tokens go that are to outlive the unlock.
pub trait Keep: Send + Sync {
    /// Seals them for the user's vault: told when they are stored.
    ///
    /// # Errors
    /// [`CellError`], if they are not in the inbox.
    fn keep(&self, tokens: &Tokens) -> Result<oneshot::Receiver<Settled>, CellError>;
}

impl Connections {
    /// Those that an unlock gave, reaching providers by `reach`.
    pub fn new(unlock: UnlockId, key: UnlockKey, given: Vec<Given>, reach: &Arc<Reach>) -> Self {
        let providers = given.into_iter().map(|Given { settings, tokens }| {
            let ours =
                |tokens: &Tokens| tokens.provider == settings.name && tokens.client_id == settings.client_id;
            let held = tokio::sync::Mutex::new(Held::of(tokens.filter(ours)));
            let fetch = Fetch::new(Arc::clone(reach), settings.ca_pem.as_deref());
            (settings.name.clone(), Connection { fetch, settings, described: OnceCell::new(), held })
        });
        Self {
            unlock,
            key,
            providers: providers.collect(),
            flows: Mutex::default(),
            exchanges: RwLock::default(),
        }
    }

    /// The unlock they are of.
    pub fn unlock(&self) -> UnlockId {
        self.unlock
    }

    /// Whether an entry of the vault is one of theirs: a workload must not put other tokens in their place.
    pub fn own(&self, entry: &str) -> bool {
        let Ok(entry) = EntryName::new(entry) else { return false };
        self.providers.keys().any(|provider| tokens_entry(provider) == entry.expose())
    }

    fn of(&self, provider: &ProviderName) -> Result<&Connection, CellError> {
        let unknown = || CellError::NotConnected {
            provider: provider.to_string(),
            why: "this unlock does not know it: unlock with `ocmt container unlock --connect`",
        };
        self.providers.get(provider).ok_or_else(unknown)
    }

    /// Makes a verifier, and the address with its challenge.
    ///
    /// # Errors
    /// [`CellError::NotConnected`] for a provider that the unlock did not give; [`CellError::Provider`].
    pub async fn begin(&self, wish: Wish, now_ms: u64) -> Result<Begun, CellError> {
        let connection = self.of(&wish.provider)?;
        let described = connection.described(connection.fetch()?).await;
        let described = described.map_err(|problem| problem.of(&wish.provider))?.clone();
        let scopes = if wish.scopes.is_empty() { connection.settings.scopes.clone() } else { wish.scopes };
        let flow = Flow {
            authorization: wish.authorization,
            provider: wish.provider,
            verifier: Verifier::generate(&mut rand::rng()),
            redirect: wish.redirect,
            scopes,
            described,
            ends_ms: now_ms.saturating_add(LIFETIME_MS),
        };
        let url = exchange::address(&connection.settings, &flow, &wish.state)
            .map_err(|problem| problem.of(&flow.provider))?;
        let offered = Offered {
            unlock: self.unlock,
            authorization: flow.authorization,
            provider: &flow.provider,
            url: &url,
        };
        let proof = offered.proof(&self.key).map_err(|_| CellError::NotForThisCell)?;
        if !self.flows.lock().unwrap_or_else(PoisonError::into_inner).begin(flow, now_ms) {
            return Err(CellError::Invalid("that authorization was begun before"));
        }
        Ok(Begun { url, proof, unlock: self.unlock })
    }

    /// Redeems what came back. An authorization is finished once, whether this goes well or not.
    ///
    /// # Errors
    /// [`CellError::NotForThisCell`] if it is not sealed by this unlock's user for this authorization, which is then
    /// untouched; [`CellError::Refused`], [`CellError::Provider`].
    pub async fn finish(
        &self,
        authorization: AuthorizationId,
        sealed: &[u8],
        (now, now_ms): (Timestamp, u64),
    ) -> Result<Tokens, CellError> {
        let flows = || self.flows.lock().unwrap_or_else(PoisonError::into_inner);
        let provider = flows().of(authorization).map(|flow| flow.provider.clone()).ok_or(GONE)?;
        let answer = Answer::open(sealed, self.unlock, (authorization, &provider), &self.key);
        let answer = answer.map_err(|_| CellError::NotForThisCell)?;
        // of many at the same time one gets it
        let flow = flows().take(authorization, now_ms).ok_or(GONE)?;
        flow.judge(&answer).map_err(|mixed| CellError::Invalid(mixed.text()))?;
        let connection = self.of(&provider)?;
        exchange::redeem(&connection.settings, flow, answer.code, connection.fetch()?, now)
            .await
            .map_err(|problem| problem.of(&provider))
    }

    /// From now on these are a connection's tokens, and kept. Under one lock: a renewal of those of before that is
    /// under way must not come after them.
    ///
    /// # Errors
    /// [`CellError::NotConnected`].
    pub async fn hold(&self, tokens: Tokens, keep: &dyn Keep) -> Result<Receipt, CellError> {
        let mut held = self.of(&tokens.provider)?.held.lock().await;
        Ok(held.got(tokens, keep))
    }

    /// As long as this is held the tokens that an exchange gives find their unlock.
    pub async fn enter(&self) -> RwLockReadGuard<'_, ()> {
        self.exchanges.read().await
    }

    /// Whether somebody waits for a provider.
    pub(crate) fn is_exchanging(&self) -> bool {
        self.exchanges.try_write().is_err()
    }

    /// A token that a program may show, renewed if it is about to end. To be run to its end: what a renewal gives
    /// replaces what it was got with.
    ///
    /// # Errors
    /// [`CellError::NotConnected`], [`CellError::Provider`].
    pub async fn token(
        &self,
        provider: &ProviderName,
        clock: &(dyn ocmt_types::Clock + '_),
        keep: &dyn Keep,
    ) -> Result<Zeroizing<String>, CellError> {
        let connection = self.of(provider)?;
        let mut held = connection.held.lock().await;
        match held.plan(clock.now()) {
            Plan::Give => {}
            Plan::Renew if !held.is_stored(keep) => {
                // shown again, the refresh token that the vault has would end them all
                if held.is_over(clock.now()) {
                    return Err(not_stored(provider));
                }
            }
            Plan::Renew => {
                let renewed = self.renew(connection, &held, clock).await;
                if let Err((problem, cell_error)) = renewed.map(|tokens| drop(held.got(tokens, keep))) {
                    held.failed(problem.ends_tokens(), clock.now());
                    tracing::info!(%provider, %problem, "tokens were not renewed");
                    if held.plan(clock.now()) != Plan::Give {
                        return Err(if held.ended { self.over(provider) } else { cell_error });
                    }
                }
            }
            Plan::Connect => return Err(self.over(provider)),
            Plan::Later => {
                return Err(CellError::Provider {
                    provider: provider.to_string(),
                    why: "its token could not be renewed a moment ago".to_owned(),
                    may_pass: true,
                });
            }
        }
        let tokens = held.tokens.as_ref().ok_or_else(|| self.over(provider))?;
        Ok(Zeroizing::new(tokens.access.expose().clone()))
    }

    async fn renew(
        &self,
        connection: &Connection,
        held: &Held,
        clock: &(dyn ocmt_types::Clock + '_),
    ) -> Result<Tokens, (Problem, CellError)> {
        let name = &connection.settings.name;
        let both = |problem: Problem| (problem.clone(), problem.of(name));
        let fetch = connection.fetch.as_ref().map_err(|problem| both(problem.clone()))?;
        let described = connection.described(fetch).await.map_err(both)?;
        let before = held.tokens.as_ref().ok_or_else(|| both(Problem::Settings("there is no token")))?;
        exchange::refresh(&connection.settings, described, before, fetch, clock.now()).await.map_err(both)
    }

    fn over(&self, provider: &ProviderName) -> CellError {
        let why = "there is no token that is good: its user connects it with `ocmt oauth connect`";
        CellError::NotConnected { provider: provider.to_string(), why }
    }

    /// Ends the tokens at the provider, and forgets them. Whether the provider took it.
    ///
    /// # Errors
    /// [`CellError::NotConnected`] for a provider that the unlock did not give; [`CellError::Provider`] if it may take
    /// it at another time (but for `anyway`), or if the last tokens are still on their way to the vault: they would come
    /// to it after the end. Nothing is forgotten then.
    pub async fn disconnect(&self, provider: &ProviderName, anyway: bool) -> Result<bool, CellError> {
        let connection = self.of(provider)?;
        let mut held = connection.held.lock().await;
        if !held.comes_to_rest().await {
            return Err(not_stored(provider));
        }
        let Some(tokens) = &held.tokens else { return Ok(false) };
        let revoked = async {
            let fetch = connection.fetch.as_ref().map_err(Clone::clone)?;
            let described = connection.described(fetch).await?;
            exchange::revoke(&connection.settings, described, tokens, fetch).await
        };
        let revoked = match revoked.await {
            Err(problem) if problem.may_pass() && !anyway => return Err(problem.of(provider)),
            Err(problem) => {
                tracing::info!(%provider, %problem, "tokens were not revoked");
                false
            }
            Ok(revoked) => revoked,
        };
        held.failed(true, Timestamp(0));
        Ok(revoked)
    }

    /// Ready when nothing is being exchanged any more.
    pub async fn settled(&self) {
        drop(self.exchanges.write().await);
    }
}

fn not_stored(provider: &ProviderName) -> CellError {
    let why =
        "its last tokens are not in the vault's inbox yet: repeat in a moment, or see `ocmt vault inbox`";
    CellError::Provider { provider: provider.to_string(), why: why.to_owned(), may_pass: true }
}
