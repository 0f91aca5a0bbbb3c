//! May this sender talk to this agent?

use std::time::Duration;

use ocmt_store::tables::{Container, DesiredState, PairedSender, Pairing};

use super::code;
use crate::{
    agent_policy::{EffectivePolicy, stored},
    api::pairing::{CheckSender, ConversationScope, DirectPolicy, GroupPolicy, SenderDecision},
    authorize::{Action, Object},
    error::ActorError,
    work::{Handle, Work},
};

const CODE_LASTS: Duration = Duration::from_secs(3600);
/// Senders who wait at one channel of one agent.
const MOST_PENDING: i64 = 3;
const LONGEST_CHANNEL: usize = 64;
const LONGEST_SENDER: usize = 256;
const LONGEST_NAME: usize = 100;

impl Handle for CheckSender {
    async fn handle(self, work: &mut Work) -> Result<SenderDecision, ActorError> {
        let found = work.tx.get::<Container>(self.container).await?;
        let found = found.filter(|row| row.desired != DesiredState::Absent);
        let agent = work.authorize_found(Action::CheckSender, found, |row| Object::of(row.user_id))?;
        bounded("channel", &self.channel, 1, LONGEST_CHANNEL)?;
        bounded("sender_id", &self.sender, 1, LONGEST_SENDER)?;
        bounded("display_name", &self.display_name, 0, LONGEST_NAME)?;
        work.object = format!("container/{}", self.container);
        let held = stored::held(&work.env, &mut work.tx, Some(agent.user_id)).await?.effective;
        let listens = held.allows_channel(&self.channel);
        if !listens {
            work.details.push(("channel".to_owned(), "not in the agent policy".to_owned()));
        }
        let decision = match standing(&held, self.scope) {
            _ if !listens => SenderDecision::Drop,
            Standing::Everybody => SenderDecision::Allow,
            Standing::Nobody => SenderDecision::Drop,
            Standing::Listed { .. } if is_paired(work, &self).await? => SenderDecision::Allow,
            Standing::Listed { others_pair: false } => SenderDecision::Drop,
            Standing::Listed { others_pair: true } => pair(work, &agent, self).await?,
        };
        let said = match &decision {
            SenderDecision::Allow => "allow",
            SenderDecision::Drop => "drop",
            SenderDecision::Pair { .. } => "pair",
        };
        work.details.push(("decision".to_owned(), said.to_owned()));
        Ok(decision)
    }
}

/// Who is let through, by policy.
enum Standing {
    Everybody,
    Nobody,
    /// Who was paired.
    Listed {
        /// Anybody else gets a code.
        others_pair: bool,
    },
}

fn standing(policy: &EffectivePolicy, scope: ConversationScope) -> Standing {
    match scope {
        ConversationScope::Direct => match policy.dm_policy {
            DirectPolicy::Pairing => Standing::Listed { others_pair: true },
            DirectPolicy::Allowlist => Standing::Listed { others_pair: false },
            DirectPolicy::Open => Standing::Everybody,
            DirectPolicy::Disabled => Standing::Nobody,
        },
        // no code is ever shown to a group
        ConversationScope::Group => match policy.group_policy {
            GroupPolicy::Allowlist => Standing::Listed { others_pair: false },
            GroupPolicy::Open => Standing::Everybody,
            GroupPolicy::Disabled => Standing::Nobody,
        },
    }
}

async fn is_paired(work: &mut Work, ask: &CheckSender) -> Result<bool, ActorError> {
    let listed = PairedSender::container_id
        .eq(ask.container)
        .and(PairedSender::channel.eq(&ask.channel))
        .and(PairedSender::sender_id.eq(&ask.sender));
    Ok(work.tx.first::<PairedSender>(listed).await?.is_some())
}

/// An unknown sender: a code, once, while there is room at the channel.
async fn pair(work: &mut Work, agent: &Container, ask: CheckSender) -> Result<SenderDecision, ActorError> {
    let at_channel = Pairing::container_id.eq(ask.container).and(Pairing::channel.eq(&ask.channel));
    let over = at_channel.clone().and(Pairing::expires_at.le(work.now));
    work.tx.delete_all::<Pairing>(over).await?;
    let fresh = code::issue(&mut rand::rng());
    let own = at_channel.clone().and(Pairing::sender_id.eq(&ask.sender));
    if let Some(row) = work.tx.first::<Pairing>(own).await? {
        // the answer of the first time was lost; whoever writes again has the code already
        if row.asked_by != ask.asked_by || row.rejected {
            return Ok(SenderDecision::Drop);
        }
        let expires_at = row.expires_at;
        let row = Pairing { code_hash: code::hash(row.pairing_id, &fresh), ..row };
        work.tx.update(&row).await?;
        return Ok(SenderDecision::Pair { code: fresh, expires_at });
    }
    if work.tx.count::<Pairing>(at_channel.and(Pairing::rejected.eq(false))).await? >= MOST_PENDING {
        return Ok(SenderDecision::Drop);
    }
    let pairing_id = work.env.id();
    let row = Pairing {
        tenant_id: work.ownership.tenant,
        pairing_id,
        user_id: agent.user_id,
        container_id: ask.container,
        channel: ask.channel,
        sender_id: ask.sender,
        display_name: ask.display_name,
        code_hash: code::hash(pairing_id, &fresh),
        asked_by: ask.asked_by,
        attempts: 0,
        rejected: false,
        created_at: work.now,
        expires_at: work.now + CODE_LASTS,
    };
    work.tx.insert(&row).await?;
    work.details.push(("pairing".to_owned(), pairing_id.to_string()));
    Ok(SenderDecision::Pair { code: fresh, expires_at: row.expires_at })
}

fn bounded(field: &'static str, text: &str, least: usize, most: usize) -> Result<(), ActorError> {
    if (least..=most).contains(&text.len()) && !text.chars().any(char::is_control) {
        return Ok(());
    }
    Err(ActorError::invalid(field, format!("must be one line of {least} to {most} bytes")))
}
