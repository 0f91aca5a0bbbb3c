//! What a node knows of connections: which there are, since when, and whether their tokens wait in an inbox.
//!
//! A row comes with the first inbox item that a cell sends for it, in the item's own transaction: no
//! connection begins whose tokens are nowhere. The tokens themselves nobody here can read.

use ocmt_crypto::{audit::Outcome as AuditOutcome, connect::ProviderName, unlock::InboxPlace};
use ocmt_store::tables::{Container, InboxState, OauthConnection, OauthFlow, Vault, VaultInboxItem};
use ocmt_types::{AuthorizationId, ConnectionId, ContainerId, IdGen, MessageId, RandomIds, UserId, VaultId};

use super::container;
use crate::{
    api::connections::{ConnectionInfo, ConnectionPage, ListConnections},
    audit,
    authorize::Action,
    error::ActorError,
    ports::CellConnection,
    work::{Handle, SystemWork, Work},
};

/// Connections of one container; a cell that says that there are more is not believed.
const MOST: i64 = 64;
const MOST_SCOPES: usize = 64;
const LONGEST_SCOPE: usize = 256;
const PAGE: u32 = 50;
const LONGEST_PAGE: u32 = 100;

fn of(container: ContainerId) -> ocmt_store::Filter<OauthConnection> {
    OauthConnection::container_id.eq(container)
}

/// Whether tokens of this connection are taken as such: beside what the workload sends, for there is one item of each
/// connection and unlock. What else a cell calls so is an item like others.
pub(super) async fn admits(
    work: &mut Work,
    container: ContainerId,
    it: &CellConnection,
) -> Result<bool, ActorError> {
    if ProviderName::new(&it.provider).is_err() {
        return Ok(false);
    }
    let known = work.tx.count(of(container).and(OauthConnection::provider.eq(&it.provider))).await?;
    Ok(known > 0 || work.tx.count(of(container)).await? < MOST)
}

/// Makes room for newer tokens of a connection: those of the same unlock that still wait are worth nothing any more.
/// False if they are newer than what comes.
pub(super) async fn supersedes(
    work: &mut Work,
    vault: VaultId,
    container: ContainerId,
    (it, place): (&CellConnection, &InboxPlace),
) -> Result<bool, ActorError> {
    let by_name = of(container).and(OauthConnection::provider.eq(&it.provider));
    let Some(row) = work.tx.first(by_name).await? else { return Ok(true) };
    let before = work.tx.get::<VaultInboxItem>((vault, row.item_id)).await?;
    let same =
        |item: &VaultInboxItem| item.state == InboxState::Waiting && item.unlock_id == Some(place.unlock);
    let Some(before) = before.filter(same) else { return Ok(true) };
    if InboxPlace::claimed(&before.sealed).is_ok_and(|before| before.sequence > place.sequence) {
        return Ok(false);
    }
    work.tx.delete::<VaultInboxItem>((vault, before.item_id)).await?;
    Ok(true)
}

/// A cell sent tokens of a connection: their item is in the inbox.
pub(super) async fn got(
    work: &mut Work,
    (container, user): (ContainerId, UserId),
    item: MessageId,
    it: CellConnection,
) -> Result<(), ActorError> {
    let plain = |scope: &String| {
        (1..=LONGEST_SCOPE).contains(&scope.len()) && scope.bytes().all(|byte| (0x21..0x7f).contains(&byte))
    };
    let scopes: Vec<String> = it.scopes.into_iter().filter(plain).take(MOST_SCOPES).collect();
    let (provider, scopes, now) = (it.provider, scopes.join(" "), work.now);
    let details = vec![
        ("provider".to_owned(), provider.clone()),
        ("container".to_owned(), container.to_string()),
        ("scopes".to_owned(), scopes.clone()),
    ];
    let known = work.tx.first(of(container).and(OauthConnection::provider.eq(&provider))).await?;
    if let Some(known) = known {
        let other = known.scopes != scopes;
        let renewed = OauthConnection { scopes, refreshed_at: Some(now), item_id: item, ..known };
        work.tx.update(&renewed).await?;
        if other {
            let object = format!("connection/{}", renewed.connection_id);
            audit::note(work, "connection.changed", object, AuditOutcome::Allowed, details).await?;
        }
        return Ok(());
    }
    let ids: &dyn IdGen = &RandomIds;
    let row = OauthConnection {
        tenant_id: work.ownership.tenant,
        connection_id: ids.id(),
        container_id: container,
        user_id: user,
        provider,
        scopes,
        created_at: now,
        refreshed_at: None,
        item_id: item,
    };
    work.tx.insert(&row).await?;
    let object = format!("connection/{}", row.connection_id);
    audit::note(work, "connection.made", object, AuditOutcome::Allowed, details).await
}

/// The connection of a container with a provider.
pub(crate) struct Find {
    pub(crate) container: ContainerId,
    pub(crate) provider: String,
}

impl SystemWork for Find {
    type Output = ConnectionInfo;
    async fn perform(self, work: &mut Work) -> Result<ConnectionInfo, ActorError> {
        let by_name = of(self.container).and(OauthConnection::provider.eq(&self.provider));
        let row = work.tx.first(by_name).await?.ok_or(ActorError::NotFound)?;
        let vault = vault_of(work, row.user_id).await?;
        info(work, vault, row).await
    }
}

/// Whether a connection has ended already, of those whose turn to end comes later: nothing that was made since ends for it.
pub(crate) struct Over {
    pub(crate) container: ContainerId,
    pub(crate) connection: ConnectionId,
}

/// What its provider said then; none while it is there.
impl SystemWork for Over {
    type Output = Option<bool>;
    async fn perform(self, work: &mut Work) -> Result<Option<bool>, ActorError> {
        if work.tx.get::<OauthConnection>(self.connection).await?.is_some() {
            return Ok(None);
        }
        let container = work.tx.get::<Container>(self.container).await?.ok_or(ActorError::NotFound)?;
        let said = container::ended(work, container.user_id, self.connection, None).await?;
        said.map(Some).ok_or(ActorError::NotFound)
    }
}

/// A connection that its user ended.
pub(crate) struct Ended {
    pub(crate) container: ContainerId,
    pub(crate) connection: ConnectionId,
    pub(crate) revoked: bool,
}

/// Whether its provider took the end, as its user is told whenever they ask.
impl SystemWork for Ended {
    type Output = bool;
    async fn perform(self, work: &mut Work) -> Result<bool, ActorError> {
        let Some(row) = work.tx.get::<OauthConnection>(self.connection).await? else {
            return Ok(self.revoked);
        };
        work.tx.delete::<OauthConnection>(row.connection_id).await?;
        container::ended(work, row.user_id, row.connection_id, Some(self.revoked)).await?;
        let details = vec![
            ("provider".to_owned(), row.provider),
            ("container".to_owned(), self.container.to_string()),
            ("revoked".to_owned(), self.revoked.to_string()),
        ];
        let object = format!("connection/{}", row.connection_id);
        audit::note(work, "connection.ended", object, AuditOutcome::Allowed, details).await?;
        Ok(self.revoked)
    }
}

/// An authorization that its cell did not begin.
pub(crate) struct NotBegun(pub(crate) AuthorizationId);

impl SystemWork for NotBegun {
    type Output = ();
    async fn perform(self, work: &mut Work) -> Result<(), ActorError> {
        work.tx.delete_all::<OauthFlow>(OauthFlow::authorization_id.eq(self.0)).await?;
        Ok(())
    }
}

/// Of a container that is no more.
pub(crate) async fn forget(work: &mut Work, container: ContainerId) -> Result<(), ActorError> {
    work.tx.delete_all::<OauthFlow>(OauthFlow::container_id.eq(container)).await?;
    work.tx.delete_all::<OauthConnection>(of(container)).await?;
    Ok(())
}

async fn vault_of(work: &mut Work, user: UserId) -> Result<Option<VaultId>, ActorError> {
    let vault = work.tx.first::<Vault>(Vault::owner_user.eq(Some(user))).await?;
    Ok(vault.map(|vault| vault.vault_id))
}

async fn info(
    work: &mut Work,
    vault: Option<VaultId>,
    row: OauthConnection,
) -> Result<ConnectionInfo, ActorError> {
    let item = match vault {
        Some(vault) => work.tx.get::<VaultInboxItem>((vault, row.item_id)).await?,
        None => None,
    };
    Ok(ConnectionInfo {
        connection: row.connection_id,
        container: row.container_id,
        provider: row.provider,
        scopes: row.scopes.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect(),
        created_at: row.created_at,
        refreshed_at: row.refreshed_at,
        unfiled: item.is_some_and(|item| item.state == InboxState::Waiting),
    })
}

impl Handle for ListConnections {
    async fn handle(self, work: &mut Work) -> Result<ConnectionPage, ActorError> {
        let container: Container = container::load(work, Action::ReadContainer, self.container).await?;
        let limit = if self.limit == 0 { PAGE } else { self.limit.min(LONGEST_PAGE) };
        let all = of(container.container_id);
        let in_order = match self.after {
            Some(after) => all.after(&after).limit(limit),
            None => all.limit(limit),
        };
        let rows = work.tx.find(in_order).await?;
        let full = rows.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
        let next = rows.last().filter(|_| full).map(|row| row.connection_id);
        let vault = vault_of(work, container.user_id).await?;
        let mut connections = Vec::with_capacity(rows.len());
        for row in rows {
            connections.push(info(work, vault, row).await?);
        }
        Ok(ConnectionPage { connections, next })
    }
}
