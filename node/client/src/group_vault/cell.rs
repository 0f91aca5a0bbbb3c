//! A group's vault opened into the cell of one container, for a time: no device gets its key.
//!
//! What is checked before a part is sealed, by whoever asks as by everybody who approves: the vault's own keys have appointed this
//! container on this host, that host vouches for the cell's key, and the cell will open no older state than this device knows.

use std::time::Duration;

use ocmt_crypto::{
    CryptoError,
    cell::{CellKeyStatement, ExpectedCell},
    ceremony::{Ceremony, Purpose},
    group::Admission,
    group_cell::{Appointment, Asked, Order},
    manifest::{self, Manifest},
    succession::{self, Succession},
    vault::Seen,
};
use ocmt_proto::v1 as pb;
use ocmt_types::{Clock as _, ContainerId, Digest32, GroupId, NodeId, SystemClock, Timestamp};
use serde::Serialize;

use super::{
    Unlock,
    appoint::judge_appointment,
    unlock::{self, expected},
};
use crate::{
    Client, ClientError,
    ca::ProvenNode,
    client::{idempotency_key, present},
    recovery::CeremonyState,
    vault::Vault,
    wire::time,
};

/// The reason of a cell that takes nothing, since it is open.
const OPEN_ALREADY: &str = "CELL_NOT_LOCKED";

/// The container that a group's vault may be opened into: what the vault itself has signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GroupCell {
    /// Which container.
    pub container: ContainerId,
    /// On which host, and no other.
    pub host: NodeId,
    /// How many secrets of the vault it gets.
    pub secrets: usize,
    /// The longest time of one unlock, in seconds.
    pub longest_s: u64,
    /// When it was appointed, by the clock of whoever did.
    pub appointed_at: Timestamp,
    /// Whose container it is, as the node says.
    pub owner_email: String,
    /// Until when it is open with the vault, as the node says; none while it is locked.
    pub unlocked_until: Option<Timestamp>,
    /// Whether the vault's present keys have signed it. If not, new keys were made since: it is appointed anew, or ended.
    pub in_force: bool,
}

/// What this device knows of an appointment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Known {
    /// It has met none before.
    First,
    /// It is the one that it met last.
    Same,
    /// It is a newer one than that.
    Newer,
}

/// Where an unlock goes, after this device has checked it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CellAsked {
    /// Into the cell of this container.
    pub cell: GroupCell,
    /// Whether this device knows that it is appointed.
    pub known: Known,
    #[serde(skip)]
    pub(super) number: u64,
    #[serde(skip)]
    pub(super) hash: Digest32,
    /// The state of the vault that it was checked against.
    #[serde(skip)]
    pub(super) present: Seen,
}

/// An appointment as the node shows it, verified, and the vault's present state.
pub(super) struct Shown {
    pub(super) appointment: Appointment,
    owner_email: String,
    unlocked_until: Option<Timestamp>,
    present: Seen,
}

impl Shown {
    pub(super) fn cell(&self) -> GroupCell {
        let Self { appointment, owner_email, unlocked_until, .. } = self;
        GroupCell {
            container: appointment.container,
            host: appointment.node,
            secrets: appointment.objects.len(),
            longest_s: appointment.longest_ms / 1000,
            appointed_at: appointment.appointed_at,
            owner_email: owner_email.clone(),
            unlocked_until: *unlocked_until,
            in_force: self.is_in_force(),
        }
    }

    fn is_in_force(&self) -> bool {
        self.appointment.verify_key == self.present.verify_key
    }
}

impl Client {
    /// Ends the appointment: what is open in the cell is locked.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn dismiss_group_cell(&self, group: GroupId) -> Result<(), ClientError> {
        let request =
            pb::DismissGroupCellRequest { group_id: group.to_string(), idempotency_key: idempotency_key() };
        self.groups().dismiss_group_cell(request).await?;
        Ok(())
    }
}

impl Vault {
    /// The container that a group's vault may be opened into, if one is appointed.
    ///
    /// # Errors
    /// [`ClientError::Crypto`] if the vault's own keys have not signed what the node shows.
    pub async fn group_cell(&self, group: GroupId) -> Result<Option<GroupCell>, ClientError> {
        let believed = self.believed_now(group).await?;
        Ok(self.appointed(group, &believed).await?.map(|shown| shown.cell()))
    }

    /// The host of one's own container, by what it states of the cell's key. Wakes the container; the host is pinned as by an
    /// unlock.
    ///
    /// # Errors
    /// [`ClientError::OtherHost`] if another one was pinned; [`ClientError::Node`].
    pub async fn proven_host(
        &mut self,
        container: ContainerId,
        accept_host: bool,
    ) -> Result<NodeId, ClientError> {
        let request = pb::GetCellKeyRequest { container_id: container.to_string() };
        let answer = self.client().containers().get_cell_key(request).await?.into_inner();
        let stated = present(answer.statement, "statement")?;
        Ok(self.believe(container, &stated, accept_host).await?.node())
    }

    /// Asks the group's administrators to open its vault into the appointed cell for so long, and approves with the own part. What
    /// this device has asked for before and is not over is gone on with. No key of it is on this device.
    ///
    /// # Errors
    /// [`ClientError::Usage`] if no container is appointed, or for longer than the vault allows, or it runs on another host;
    /// [`ClientError::Node`] if the key is not that cell's; as [`Vault::ask_for_unlock`].
    pub async fn ask_for_cell(&self, group: GroupId, lasts: Duration) -> Result<Unlock, ClientError> {
        let listed = self.listed_unlocks(group).await?;
        let (set, believed) = self.set_of(group, &listed.signed_set).await?;
        for one in listed.unlocks {
            let one = unlock::unlock(one)?;
            // by what this device remembers: a node could show somebody else's as its own, and have it approved so
            if one.is_live() && self.state().has_asked_cell(group, one.id)? {
                return self.approved_by_me(group, one).await;
            }
        }
        let shown = self.appointed(group, &believed).await?.ok_or_else(none_appointed)?;
        if !shown.is_in_force() {
            return Err(lapsed());
        }
        let longest = Duration::from_millis(shown.appointment.longest_ms);
        if lasts > longest {
            let text =
                format!("the vault is opened into that cell for {} min at most", longest.as_secs() / 60);
            return Err(ClientError::Usage(text));
        }
        let (statement, stated) = self.held_key(group, &shown.appointment, lasts).await?;
        let order =
            Order { appointment: shown.appointment.hash, seen: shown.present, random: rand::random() };
        let now = SystemClock.now();
        let ceremony = Ceremony {
            nonce: order.nonce(),
            scope: set.scope(),
            set: set.id(),
            set_hash: set.hash(),
            requester: *statement.key(),
            purpose: Purpose::Cell,
            opened_at: now,
            delay_ms: 0,
            expires_at: now + lasts,
            overrides: None,
        };
        self.state().asks_cell(group, ceremony.hash())?;
        let request = pb::OpenGroupUnlockRequest {
            group_id: group.to_string(),
            params: ceremony.encode().into(),
            cell: Some(pb::GroupCellAsked { order: order.encode().into(), statement: Some(stated) }),
            idempotency_key: idempotency_key(),
        };
        let answer = self.client().groups().open_group_unlock(request).await?.into_inner();
        let asked = expected(present(answer.unlock, "unlock")?, ceremony.hash())?;
        self.approved_by_me(group, asked).await
    }

    /// Has the cell open what was released to it, and says until when it is unlocked. Any of those who hold a part may: the parts
    /// are sealed to the cell. A second time changes nothing.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn open_group_cell(&self, group: GroupId, which: Digest32) -> Result<Timestamp, ClientError> {
        let request = pb::OpenGroupCellRequest {
            group_id: group.to_string(),
            ceremony_id: which.0.to_vec().into(),
            idempotency_key: idempotency_key(),
        };
        let error = match self.client().groups().open_group_cell(request).await.map_err(ClientError::from) {
            Ok(answer) => return Ok(time(&present(answer.into_inner().unlocked_until, "unlocked_until")?)),
            Err(error) => error,
        };
        // another of those who approved was first
        if error.reason().as_deref() == Some(OPEN_ALREADY)
            && let Some(until) = self.group_cell(group).await?.and_then(|cell| cell.unlocked_until)
        {
            return Ok(until);
        }
        Err(error)
    }

    /// Holds what a node shows of an unlock into a cell against what the vault has signed and this device knows.
    pub(super) async fn judge_cell(
        &self,
        group: GroupId,
        believed: &Admission,
        ceremony: &Ceremony,
        evidence: pb::GroupCellEvidence,
    ) -> Result<CellAsked, ClientError> {
        let stated = present(evidence.statement, "statement")?;
        let node = self.node_of(&stated)?;
        let asked = Asked {
            ceremony,
            order: &evidence.order,
            appointment: &evidence.appointment,
            statement: &stated.statement,
            group,
            identity: &believed.identity,
            node: (node.id, &node.key),
        };
        let vault = believed.scope.vault;
        let seen = self.state().seen(vault)?;
        let appointment = asked.check(seen.as_ref(), SystemClock.now()).map_err(rolled_back)?;
        let known = judge_appointment(self.state().appointment(vault)?, &appointment)?;
        // in force still, and whose container it is
        let shown = self.appointed(group, believed).await?.ok_or_else(none_appointed)?;
        if !shown.is_in_force() {
            return Err(lapsed());
        }
        let order = Order::decode(&evidence.order)?;
        if shown.appointment != appointment || order.seen.verify_key != shown.present.verify_key {
            return Err(CryptoError::Refused.into());
        }
        let (number, hash) = (appointment.number, appointment.hash);
        Ok(CellAsked { cell: shown.cell(), known, number, hash, present: shown.present })
    }

    /// The appointment in force.
    pub(super) async fn appointed(
        &self,
        group: GroupId,
        believed: &Admission,
    ) -> Result<Option<Shown>, ClientError> {
        let request = pb::GetGroupCellRequest { group_id: group.to_string() };
        let answer = match self.client().groups().get_group_cell(request).await.map_err(ClientError::from) {
            Ok(answer) => answer.into_inner(),
            Err(error) if error.reason().as_deref() == Some("NO_GROUP_CELL") => return Ok(None),
            Err(error) => return Err(error),
        };
        let appointment = Appointment::verify(&answer.appointment, &believed.identity)?;
        if (appointment.group, appointment.scope) != (group, believed.scope) {
            return Err(CryptoError::Refused.into());
        }
        judge_appointment(self.state().appointment(believed.scope.vault)?, &appointment)?;
        let present = self.present_state(believed, &answer.manifest, &answer.successions)?;
        let unlocked_until = answer.unlocked_until.as_ref().map(time);
        Ok(Some(Shown { appointment, owner_email: answer.owner_email, unlocked_until, present }))
    }

    /// A fresh key that the cell keeps for this unlock, vouched for by the host that the vault has appointed.
    async fn held_key(
        &self,
        group: GroupId,
        appointment: &Appointment,
        lasts: Duration,
    ) -> Result<(CellKeyStatement, pb::NodeStatement), ClientError> {
        let lasts_ms = u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX);
        let request = pb::GetGroupCellKeyRequest { group_id: group.to_string(), lasts_ms };
        let answer = self.client().groups().get_group_cell_key(request).await?.into_inner();
        let stated = present(answer.statement, "statement")?;
        let node = self.node_of(&stated)?;
        if node.id != appointment.node {
            let (pinned, now) = (appointment.node.to_string(), node.id.to_string());
            return Err(ClientError::Usage(format!(
                "the container runs on node {now}, and the vault has appointed it on {pinned}: nobody is asked. If that is right, it \
                 is appointed anew with `ocmt group vault cell appoint`"
            )));
        }
        let expected = ExpectedCell {
            tenant: appointment.scope.tenant,
            container: appointment.container,
            node: node.id,
            now: SystemClock.now(),
        };
        let statement = CellKeyStatement::verify(&stated.statement, &node.key, &expected)
            .map_err(|_| ClientError::Node("its signature, container or time is wrong"))?;
        Ok((statement, stated))
    }

    fn node_of(&self, stated: &pb::NodeStatement) -> Result<ProvenNode, ClientError> {
        self.client().target().ca.prove_node(&stated.certificate_chain_der, self.client().clock())
    }

    /// The state of the vault as it is now: signed by the key that its successions lead to from what the administrator said and
    /// this device has met, and not older than that. Nobody has to have it open to see that.
    fn present_state(
        &self,
        believed: &Admission,
        shown: &[u8],
        successions: &[impl AsRef<[u8]>],
    ) -> Result<Seen, ClientError> {
        let (scope, seen) = (believed.scope, self.state().seen(believed.scope.vault)?);
        let chain = successions.iter().map(|bytes| Succession::from_bytes(bytes.as_ref()));
        let chain = chain.collect::<Result<Vec<_>, _>>()?;
        let newest = seen.as_ref().map(|seen| &seen.verify_key);
        let verify_key = succession::follow(&scope, &chain, &believed.verify_key, newest)?;
        let counter = Manifest::open(shown, &scope, &verify_key)?.counter;
        let present = Seen { counter, manifest_hash: manifest::hash(shown), verify_key };
        match seen {
            Some(seen)
                if counter < seen.counter
                    || (counter == seen.counter && present.manifest_hash != seen.manifest_hash) =>
            {
                Err(ClientError::RolledBack { seen: seen.counter, shown: counter })
            }
            _ => Ok(present),
        }
    }

    /// What the caller asked for, approved with the own part: given twice it counts once.
    async fn approved_by_me(&self, group: GroupId, asked: Unlock) -> Result<Unlock, ClientError> {
        if asked.state != CeremonyState::Open {
            return Ok(asked);
        }
        let review = self.review_unlock(group, asked.id).await?;
        self.approve_unlock(group, &review).await
    }
}

fn none_appointed() -> ClientError {
    ClientError::Usage(
        "no container is appointed for this vault: whoever has it open names one with `ocmt group vault cell appoint`".to_owned(),
    )
}

fn lapsed() -> ClientError {
    ClientError::Usage(
        "the vault got new keys since its container was appointed: whoever has it open appoints it anew with `ocmt group vault cell \
         appoint`"
            .to_owned(),
    )
}

fn rolled_back(error: CryptoError) -> ClientError {
    match error {
        CryptoError::RolledBack { .. } => ClientError::Usage(
            "what was asked for would open an older state of the vault than this device has seen: do not approve it; `ocmt group \
             vault deny` refuses it"
                .to_owned(),
        ),
        other => ClientError::Crypto(other),
    }
}
