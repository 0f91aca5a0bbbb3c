//! Admissions of what is asked about a container's connections: of its own user alone, and what was begun is
//! finished once, by the session that began it.

use ocmt_crypto::token::{Token, TokenKind};
use ocmt_store::{
    Filter,
    tables::{Container, IdempotencyRow, OauthConnection, OauthFlow},
};
use ocmt_types::{AuthorizationId, ConnectionId, ContainerId, IdGen, RandomIds, UserId};
use serde::{Deserialize, Serialize};

use super::{About, Admission, load, load_free, unlock::asked};
use crate::{
    api::connections::{
        AuthorizationBegun, BeginAuthorization, ConnectionInfo, Disconnect, Disconnected, FinishAuthorization,
    },
    authorize::Action,
    call::{Call as _, Repeat, Reply},
    caller::{SignedIn, label_of},
    error::ActorError,
    host::{
        errand::{End, Errand, Finish},
        message::{At, JobKind, What},
    },
    ports::CellWish,
    work::Work,
};

/// An authorization is finished within this.
const LASTS: std::time::Duration = std::time::Duration::from_secs(10 * 60);
/// Authorizations of one user under way.
const MOST_UNDER_WAY: i64 = 32;
const MAX_ANSWER: usize = 5 * 1024;
/// Calls of one user to end connections that are looked through when one has ended, the newest: what was refused leaves one too.
const MOST_KEPT: u32 = 64;

/// One answer for every way in which a state is not good.
pub(crate) const BAD_STATE: &str = "the authorization is unknown, was finished, is over 10 min old, or was begun in another session: begin again";

/// A container that is free to be used, of who asks and of nobody else: what comes of it goes into their vault.
async fn own(work: &mut Work, container: ContainerId) -> Result<(Container, SignedIn), ActorError> {
    let row = load_free(work, Action::EnterContainer, container).await?;
    let who = work.standing.caller.user().filter(|who| who.user == row.user_id);
    Ok((row, who.ok_or(ActorError::NotFound)?))
}

asked!(
    BeginAuthorization, (At, CellWish), AuthorizationBegun,
    |(at, wish), about, reply| (at, about.job(JobKind::Errand(Errand::Begin(wish, reply)))),
    self, work => {
        let (row, who) = own(work, self.container).await?;
        work.tx.delete_all::<OauthFlow>(OauthFlow::expires_at.le(work.now)).await?;
        if work.tx.count::<OauthFlow>(OauthFlow::user_id.eq(who.user)).await? >= MOST_UNDER_WAY {
            return Err(ActorError::ResourceExhausted {
                reason: "AUTHORIZATIONS_FULL",
                why: "too many authorizations were begun and not finished".to_owned(),
                retry_after: Some(LASTS),
            });
        }
        let state = Token::issue(TokenKind::Link, work.ownership.tenant, &mut rand::rng());
        let ids: &dyn IdGen = &RandomIds;
        let authorization: AuthorizationId = ids.id();
        let expires_at = work.now + LASTS;
        let flow = OauthFlow {
            tenant_id: work.ownership.tenant,
            state_hash: state.hash(),
            user_id: who.user,
            session_id: who.session,
            container_id: row.container_id,
            provider: self.provider.clone(),
            authorization_id: authorization,
            expires_at,
        };
        work.tx.insert(&flow).await?;
        work.details.push(("provider".to_owned(), self.provider.clone()));
        let wish = CellWish {
            authorization,
            provider: self.provider,
            scopes: self.scopes,
            redirect: self.redirect,
            state: state.expose().to_owned(),
            expires_at,
        };
        Ok(((&row).into(), wish))
    }
);

asked!(
    FinishAuthorization, (At, Finish), ConnectionInfo,
    |(at, finish), about, reply| (at, about.job(JobKind::Errand(Errand::Finish(finish, reply)))),
    self, work => {
        if self.answer.len() > MAX_ANSWER {
            return Err(ActorError::invalid("answer", "is longer than 5120 bytes"));
        }
        let (row, who) = own(work, self.container).await?;
        let flow = take(work, &self.state, &row, who).await?;
        work.details.push(("provider".to_owned(), flow.provider.clone()));
        let finish =
            Finish { authorization: flow.authorization_id, provider: flow.provider, answer: self.answer };
        Ok(((&row).into(), finish))
    }
);

/// One statement: of many who bring the same state exactly one goes on, and only where it was begun.
async fn take(work: &mut Work, state: &str, row: &Container, who: SignedIn) -> Result<OauthFlow, ActorError> {
    let bad = || ActorError::precondition("BAD_STATE", BAD_STATE);
    let token = Token::parse_kind(TokenKind::Link, state).map_err(|_| bad())?;
    let good: Filter<OauthFlow> = OauthFlow::session_id
        .eq(who.session)
        .and(OauthFlow::container_id.eq(row.container_id))
        .and(OauthFlow::expires_at.gt(work.now));
    work.tx.take_if::<OauthFlow>(token.hash(), good).await?.ok_or_else(bad)
}

/// The end of a connection as it is stored for repeats: what was admitted, and how it ended once it has.
#[derive(Serialize, Deserialize)]
pub(in crate::tenant) struct Ending {
    at: At,
    connection: ConnectionId,
    provider: String,
    anyway: bool,
    /// Whether the provider took it; unknown while it is under way, or was not done.
    revoked: Option<bool>,
}

impl Admission for Disconnect {
    type Pass = Ending;
    const REPEAT: Repeat = Repeat::Replays;
    fn store(ending: &Ending) -> Option<Vec<u8>> {
        serde_json::to_vec(ending).ok()
    }
    fn stored(bytes: &[u8]) -> Option<Ending> {
        serde_json::from_slice(bytes).ok()
    }
    async fn again(ending: Ending, work: &mut Work) -> Result<Ending, ActorError> {
        if ending.revoked.is_none() {
            return begin_end(work, ending.connection, ending.anyway).await;
        }
        // a connection that has ended is found no more, and perhaps not its container
        let standing = load(work, Action::EnterContainer, ending.at.container).await;
        work.object = format!("connection/{}", ending.connection);
        match standing {
            Ok(_) | Err(ActorError::NotFound) => Ok(ending),
            Err(error) => Err(error),
        }
    }
    fn answered(ending: &Ending) -> Option<Disconnected> {
        ending.revoked.map(|revoked| Disconnected { revoked })
    }
    fn order(ending: Ending, about: About, reply: Reply<Disconnected>) -> (At, What) {
        let Ending { at, connection, provider, anyway, .. } = ending;
        let end = End { connection, provider, anyway };
        (at, about.job(JobKind::Errand(Errand::Disconnect(end, reply))))
    }
    async fn admit(self, work: &mut Work) -> Result<Ending, ActorError> {
        begin_end(work, self.connection, self.anyway).await
    }
}

async fn begin_end(work: &mut Work, id: ConnectionId, anyway: bool) -> Result<Ending, ActorError> {
    let connection = work.tx.get::<OauthConnection>(id).await?.ok_or(ActorError::NotFound)?;
    let (row, _) = own(work, connection.container_id).await?;
    work.object = format!("connection/{id}");
    work.details.push(("provider".to_owned(), connection.provider.clone()));
    let provider = connection.provider;
    Ok(Ending { at: (&row).into(), connection: id, provider, anyway, revoked: None })
}

/// How a connection ended, by what is kept for repeats of the calls for it. With `revoked` its cell has just ended it, and every
/// repeat is answered so from now on.
pub(crate) async fn ended(
    work: &mut Work,
    user: UserId,
    connection: ConnectionId,
    revoked: Option<bool>,
) -> Result<Option<bool>, ActorError> {
    let asked =
        IdempotencyRow::principal.eq(label_of(user)).and(IdempotencyRow::method.eq(Disconnect::METHOD));
    let mut said = revoked;
    for mut kept in
        work.tx.find::<IdempotencyRow>(asked.desc(IdempotencyRow::created_at).limit(MOST_KEPT)).await?
    {
        let Some(mut ending) = Disconnect::stored(&kept.response) else { continue };
        if ending.connection != connection {
            continue;
        }
        said = said.or(ending.revoked);
        if revoked.is_some() && ending.revoked.is_none() {
            ending.revoked = revoked;
            kept.response =
                Disconnect::store(&ending).ok_or(ActorError::Internal(work.standing.caller.request))?;
            work.tx.update(&kept).await?;
        }
    }
    Ok(said)
}
