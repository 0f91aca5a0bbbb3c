//! Letters about containers: what their host, and the node a client is connected to, ask of their tenant.

use std::{sync::Arc, time::Duration};

use ocmt_runtime::ContainerRef;
use ocmt_types::{ContainerId, ConversationId, Deadline, NodeId, SessionId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::{Kind, Letter};
use crate::{
    call::{Reply, answer_of},
    effect::Effect,
    env::Env,
    error::ActorError,
    node::NodeMessage,
    tenant::{self, OpenStream, TenantMessage},
    work::Outcome,
};

/// Longest that a letter about a session is held.
const LONGEST_HOLD: Duration = Duration::from_secs(30);

/// Of a host: this making of a container is at my engine. If it is the tenant's, its host is ordered to look,
/// under the ownership of today.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Adopt {
    pub(crate) host: NodeId,
    pub(crate) container: ContainerId,
    pub(crate) generation: i64,
}

/// Of a host: a timer row of the tenant was set to this time. Only the fast path: the row is the timer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TimerSet {
    pub(crate) at: Timestamp,
}

/// Of a host: a cell has said something in this conversation. It wakes who follows it, and may be lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spoken {
    pub(crate) conversation: ConversationId,
}

/// Of a node with an open connection: is this session still good? Held until it is over or some time has
/// passed; answered with whether it is good then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WatchSession {
    pub(crate) session: SessionId,
    /// The connection carried something since the last time.
    pub(crate) used: bool,
    pub(crate) hold_ms: u64,
}

impl Letter for Adopt {
    type Answer = bool;
    async fn take(self, env: &Arc<Env>, tenant: TenantId, deadline: Deadline) -> Result<bool, ActorError> {
        let permit = env.admission.take(tenant, 0)?;
        let (reply, answer) = Reply::new(env.request_id(), Some(permit));
        let container = ContainerRef { container: self.container, generation: self.generation };
        let adopt = tenant::Adopt { host: self.host, container, reply };
        env.to_root(NodeMessage::ToTenant(tenant, TenantMessage::Adopt(adopt)));
        answer_of(&env.clock, deadline, answer).await
    }
}

impl Letter for TimerSet {
    type Answer = ();
    async fn take(self, env: &Arc<Env>, tenant: TenantId, _: Deadline) -> Result<(), ActorError> {
        let outcome = Outcome { effects: vec![Effect::TimerSet(self.at)], ..Outcome::default() };
        env.to_root(NodeMessage::ToTenant(tenant, TenantMessage::FromChild(Box::new(outcome))));
        Ok(())
    }
}

impl Letter for Spoken {
    type Answer = ();
    async fn take(self, env: &Arc<Env>, tenant: TenantId, _: Deadline) -> Result<(), ActorError> {
        let outcome = Outcome { effects: vec![Effect::Appended(self.conversation)], ..Outcome::default() };
        env.to_root(NodeMessage::ToTenant(tenant, TenantMessage::FromChild(Box::new(outcome))));
        Ok(())
    }
}

impl Letter for WatchSession {
    type Answer = bool;
    const HELD: bool = true;
    async fn take(self, env: &Arc<Env>, tenant: TenantId, deadline: Deadline) -> Result<bool, ActorError> {
        let permit = env.admission.take(tenant, 0)?;
        let (reply, answer) = Reply::new(env.request_id(), Some(permit));
        let open = OpenStream { session: self.session, reply };
        env.to_root(NodeMessage::ToTenant(tenant, TenantMessage::OpenStream(open)));
        let mut over = match answer_of(&env.clock, deadline, answer).await {
            Ok(over) => over,
            Err(ActorError::Unauthenticated(_) | ActorError::PermissionDenied(_) | ActorError::NotFound) => {
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        if self.used {
            env.to_root(NodeMessage::ToTenant(tenant, TenantMessage::Used(self.session)));
        }
        let hold = Duration::from_millis(self.hold_ms).min(LONGEST_HOLD);
        match timeout(hold, over.wait_for(|over| *over)).await {
            Ok(Ok(_)) => Ok(false),
            // its actor is gone, and with it what could have said so
            Ok(Err(_)) => Err(ActorError::NotOwner { owner: None }),
            Err(_) => Ok(true),
        }
    }
}

impl From<Adopt> for Kind {
    fn from(letter: Adopt) -> Self {
        Self::Adopt(letter)
    }
}

impl From<TimerSet> for Kind {
    fn from(letter: TimerSet) -> Self {
        Self::TimerSet(letter)
    }
}

impl From<Spoken> for Kind {
    fn from(letter: Spoken) -> Self {
        Self::Spoken(letter)
    }
}

impl From<WatchSession> for Kind {
    fn from(letter: WatchSession) -> Self {
        Self::WatchSession(letter)
    }
}
