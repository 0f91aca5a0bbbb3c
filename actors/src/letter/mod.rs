//! Letters: what is asked of a tenant that may be worked on by another node.
//!
//! A tenant's own callers are brought to its node by the edge. What tenants ask of each other, and what is
//! asked in the name of no tenant at all, goes as a letter: taken here if the tenant is this node's
//! ([`Neighbours::is_ours`](crate::Neighbours::is_ours)), else carried as bytes to the node that has it.
//! At the other end [`receive`] does what would have been done here; the claim decides whose it is.
//!
//! A letter that was refused as [`ActorError::NotOwner`] was not read, so it is sent once more. Any other
//! failure is the sender's to judge: a letter whose answer was lost may have been acted on.
//!
//! A new letter: a struct here, its [`Letter`] implementation, and a line in [`Kind`] and [`receive`].

mod container;
mod operator;
mod wire;

use std::sync::Arc;

use ocmt_types::{Deadline, Digest32, MessageId, NoticeId, RequestId, TenantId};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    api::{
        auth::{DescribeTo, IssueLink, IssuedLink, LinkPurpose},
        tenant::TenantSummary,
    },
    call::{CallMeta, Reply, answer_of},
    caller::Caller,
    env::Env,
    error::ActorError,
    node::NodeMessage,
    system::ask,
    tenant::{CEREMONY_SAID, TakePost, TenantMessage},
};

pub(crate) use container::{Adopt, Spoken, TimerSet, WatchSession};
pub(crate) use operator::{Administered, Key};
pub use operator::{OperatorAct, OperatorAnswer};

/// Something that is asked of a tenant, here or elsewhere.
pub(crate) trait Letter: Clone + Into<Kind> + Send + 'static {
    /// What comes back.
    type Answer: Serialize + DeserializeOwned + Send;
    /// Its reader answers when something has happened, and may take long.
    const HELD: bool = false;
    /// Does it at a tenant of this node.
    fn take(
        self,
        env: &Arc<Env>,
        tenant: TenantId,
        deadline: Deadline,
    ) -> impl Future<Output = Result<Self::Answer, ActorError>> + Send;
}

/// Any letter, as it travels. Names are part of the format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Post(Post),
    LinkWanted(LinkWanted),
    WhoAreYou(WhoAreYou),
    HandedOver(HandedOver),
    Undeliverable(Undeliverable),
    Adopt(Adopt),
    TimerSet(TimerSet),
    Spoken(Spoken),
    WatchSession(WatchSession),
    Administered(Administered),
}

/// A message of another tenant's outbox. Once in effect, however often it comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Post {
    pub(crate) from: TenantId,
    pub(crate) message: MessageId,
    pub(crate) kind: String,
    #[serde(with = "wire::text")]
    pub(crate) body: Vec<u8>,
}

/// Of the lobby: make a sign-in link for this address, if a user there has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LinkWanted {
    pub(crate) request: RequestId,
    pub(crate) email: String,
    pub(crate) purpose: LinkPurpose,
    pub(crate) binding_hash: [u8; 32],
}

/// Of the lobby: how the tenant calls itself, if a user there has this address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WhoAreYou {
    pub(crate) request: RequestId,
    pub(crate) email: String,
}

/// A carrier has taken this notice of the tenant's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HandedOver {
    pub(crate) notice: NoticeId,
}

/// This notice of the tenant's is never taken: its addressee is refused for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Undeliverable {
    pub(crate) notice: NoticeId,
}

/// The answer to a [`Post`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Posted(#[serde(with = "wire::text")] pub(crate) Vec<u8>);

/// Sends a letter to wherever the tenant is, and waits for the answer.
pub(crate) async fn send<L: Letter>(
    env: &Arc<Env>,
    tenant: TenantId,
    letter: L,
    deadline: Deadline,
) -> Result<L::Answer, ActorError> {
    match once(env, tenant, letter.clone(), deadline).await {
        // not read: whoever answered has forgotten what it believed, or said who it is
        Err(ActorError::NotOwner { .. }) => once(env, tenant, letter, deadline).await,
        other => other,
    }
}

async fn once<L: Letter>(
    env: &Arc<Env>,
    tenant: TenantId,
    letter: L,
    deadline: Deadline,
) -> Result<L::Answer, ActorError> {
    if env.neighbours.is_ours(tenant).await? {
        return letter.take(env, tenant, deadline).await;
    }
    let letter = wire::encode(&letter.into())?;
    let answer = if L::HELD {
        env.neighbours.deliver_held(tenant, letter, deadline).await?
    } else {
        env.neighbours.deliver(tenant, letter, deadline).await?
    };
    // it was done there, whatever it says
    wire::decode(&answer).map_err(|_| ActorError::OutcomeUnknown)
}

/// Takes a letter that another node brought.
///
/// # Errors
/// [`ActorError::Unavailable`] for a letter of another version of this program; [`ActorError::NotOwner`] if
/// another node has the tenant; and what the tenant says.
pub(crate) async fn receive(
    env: &Arc<Env>,
    tenant: TenantId,
    letter: &[u8],
    deadline: Deadline,
) -> Result<Vec<u8>, ActorError> {
    match wire::decode(letter)? {
        Kind::Post(letter) => wire::encode(&letter.take(env, tenant, deadline).await?),
        Kind::LinkWanted(letter) => wire::encode(&letter.take(env, tenant, deadline).await?),
        Kind::WhoAreYou(letter) => wire::encode(&letter.take(env, tenant, deadline).await?),
        Kind::HandedOver(letter) => wire::encode(&letter.take(env, tenant, deadline).await?),
        Kind::Undeliverable(letter) => wire::encode(&letter.take(env, tenant, deadline).await?),
        Kind::Administered(letter) => wire::encode(&letter.take(env, tenant, deadline).await?),
        Kind::Adopt(letter) => wire::encode(&letter.take(env, tenant, deadline).await?),
        Kind::TimerSet(letter) => wire::encode(&letter.take(env, tenant, deadline).await?),
        Kind::Spoken(letter) => wire::encode(&letter.take(env, tenant, deadline).await?),
        Kind::WatchSession(letter) => wire::encode(&letter.take(env, tenant, deadline).await?),
    }
}

impl Letter for Post {
    type Answer = Posted;
    async fn take(self, env: &Arc<Env>, tenant: TenantId, deadline: Deadline) -> Result<Posted, ActorError> {
        // what guardians say does not wait behind whatever else the tenant has to do
        let permit = match self.kind.as_str() {
            CEREMONY_SAID => env.admission.take_stop(tenant, self.body.len())?,
            _ => env.admission.take(tenant, self.body.len())?,
        };
        let (reply, answer) = Reply::new(env.request_id(), Some(permit));
        let Self { from, message, kind, body } = self;
        let take = TakePost { from, message, kind, body, reply };
        env.to_root(NodeMessage::ToTenant(tenant, TenantMessage::Take(take)));
        answer_of(&env.clock, deadline, answer).await.map(Posted)
    }
}

impl Letter for LinkWanted {
    type Answer = Option<IssuedLink>;
    async fn take(
        self,
        env: &Arc<Env>,
        tenant: TenantId,
        deadline: Deadline,
    ) -> Result<Option<IssuedLink>, ActorError> {
        let Self { request, email, purpose, binding_hash } = self;
        let issue = IssueLink { email, purpose, binding_hash: Digest32(binding_hash) };
        ask(env, tenant, Caller::anonymous(tenant, request, None), CallMeta::from(deadline), issue).await
    }
}

impl Letter for WhoAreYou {
    type Answer = Option<TenantSummary>;
    async fn take(
        self,
        env: &Arc<Env>,
        tenant: TenantId,
        deadline: Deadline,
    ) -> Result<Option<TenantSummary>, ActorError> {
        let describe = DescribeTo { email: self.email };
        ask(env, tenant, Caller::anonymous(tenant, self.request, None), CallMeta::from(deadline), describe)
            .await
    }
}

impl Letter for HandedOver {
    type Answer = ();
    async fn take(self, env: &Arc<Env>, tenant: TenantId, deadline: Deadline) -> Result<(), ActorError> {
        let permit = env.admission.take(tenant, 0)?;
        let (reply, answer) = Reply::new(env.request_id(), Some(permit));
        env.to_root(NodeMessage::ToTenant(tenant, TenantMessage::HandedOver(self.notice, reply)));
        answer_of(&env.clock, deadline, answer).await
    }
}

impl Letter for Undeliverable {
    type Answer = ();
    async fn take(self, env: &Arc<Env>, tenant: TenantId, deadline: Deadline) -> Result<(), ActorError> {
        let permit = env.admission.take(tenant, 0)?;
        let (reply, answer) = Reply::new(env.request_id(), Some(permit));
        env.to_root(NodeMessage::ToTenant(tenant, TenantMessage::Undeliverable(self.notice, reply)));
        answer_of(&env.clock, deadline, answer).await
    }
}

impl From<Post> for Kind {
    fn from(letter: Post) -> Self {
        Self::Post(letter)
    }
}

impl From<LinkWanted> for Kind {
    fn from(letter: LinkWanted) -> Self {
        Self::LinkWanted(letter)
    }
}

impl From<WhoAreYou> for Kind {
    fn from(letter: WhoAreYou) -> Self {
        Self::WhoAreYou(letter)
    }
}

impl From<HandedOver> for Kind {
    fn from(letter: HandedOver) -> Self {
        Self::HandedOver(letter)
    }
}

impl From<Undeliverable> for Kind {
    fn from(letter: Undeliverable) -> Self {
        Self::Undeliverable(letter)
    }
}

/// A letter as another node would bring it.
#[cfg(test)]
pub(crate) fn encoded<L: Letter>(letter: L) -> Vec<u8> {
    wire::encode(&letter.into()).unwrap_or_default()
}
