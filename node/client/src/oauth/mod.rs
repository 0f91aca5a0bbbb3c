//! Connections of a container to other people's services: settings of providers in the vault, and the way to a
//! connection, of which this device checks what a node could falsify.

mod presets;

use std::time::Duration;

use ocmt_crypto::{
    connect::{
        Answer, MAX_CONNECTIONS, Offered, ProviderName, ProviderSettings, SETTINGS_VARIABLE, TOKENS_VARIABLE,
        settings_entry, tokens_entry,
    },
    unlock::{NEW_CONVERSATIONS, UnlockKey},
};
use ocmt_proto::v1 as pb;
use ocmt_types::{AuthorizationId, ConnectionId, ContainerId, ConversationId, Timestamp, UnlockId};
use serde::Serialize;
use zeroize::Zeroizing;

pub use presets::{PRESETS, preset};

use crate::{
    Client, ClientError,
    cell::{Given, Mapping, UnlockedCell},
    client::{id, idempotency_key, present},
    pages::Pages,
    query,
    vault::{Arrived, Vault},
    wire::time,
};

/// A connection, without its tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Connection {
    /// Which.
    pub id: ConnectionId,
    /// Of which container.
    pub container: ContainerId,
    /// With whom.
    pub provider: String,
    /// For what.
    pub scopes: Vec<String>,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// When its tokens were renewed.
    pub refreshed_at: Option<Timestamp>,
    /// Its last tokens wait in the vault's inbox.
    pub unfiled: bool,
}

/// An authorization under way. Holds the key that binds it to this user's unlock.
pub struct PendingConnection {
    client: Client,
    container: ContainerId,
    unlock: UnlockId,
    key: UnlockKey,
    authorization: AuthorizationId,
    provider: ProviderName,
    state: String,
    redirect: String,
    url: String,
    /// It is good until then.
    pub expires_at: Timestamp,
}

/// What a cell is given to work with.
#[derive(Debug, Clone, Copy, Default)]
pub struct Gifts<'a> {
    /// Variables of the workload.
    pub mapping: &'a [Mapping],
    /// Entries that the workload may send to the inbox.
    pub may_write: &'a [String],
    /// Providers that the cell may connect to, at most 16.
    pub connect: &'a [ProviderName],
    /// Conversations with the container that the workload may go on with, at most 64.
    pub conversations: &'a [ConversationId],
    /// Whether it may begin conversations.
    pub new_conversations: bool,
    /// A sealed volume may be older than the one that this device unlocked last, or missing.
    pub accept_older_volume: bool,
}

impl Gifts<'_> {
    /// Refuses names that are kept for the cell, and more providers than an unlock connects.
    fn check(&self) -> Result<(), ClientError> {
        let Self { mapping, may_write, connect, .. } = *self;
        if may_write.iter().any(|name| name == NEW_CONVERSATIONS) {
            return Err(ClientError::Usage(format!(
                "{NEW_CONVERSATIONS} is no entry's name: let the program begin conversations with --new-conversations"
            )));
        }
        let ours = |name: &String| name.starts_with("oauth/tokens/") || name.starts_with("oauth/provider/");
        if may_write.iter().chain(mapping.iter().map(|it| &it.secret)).any(ours) {
            return Err(ClientError::Usage(
                "what is under oauth/ is for the cell alone: give it with --connect, and connect anew with `ocmt oauth connect`"
                    .to_owned(),
            ));
        }
        if connect.len() > MAX_CONNECTIONS {
            return Err(ClientError::Usage(format!(
                "an unlock connects at most {MAX_CONNECTIONS} providers"
            )));
        }
        Ok(())
    }
}

impl Vault {
    /// Keeps the settings of a provider, in place of those of before.
    ///
    /// # Errors
    /// [`ClientError::Crypto`] if they say what they may not; as [`Vault::put`].
    pub async fn set_provider(&mut self, settings: &ProviderSettings) -> Result<(), ClientError> {
        self.put(&settings_entry(&settings.name), &settings.encode()?).await
    }

    /// The settings of a provider.
    ///
    /// # Errors
    /// As [`Vault::get`].
    pub async fn provider(&self, name: &ProviderName) -> Result<ProviderSettings, ClientError> {
        Ok(ProviderSettings::decode(&self.get(&settings_entry(name)).await?.value)?)
    }

    /// The providers whose settings the vault has.
    ///
    /// # Errors
    /// As [`Vault::list`].
    pub async fn providers(&self) -> Result<Vec<ProviderName>, ClientError> {
        let named = self.list().await?.into_iter();
        let named = named.filter_map(|entry| entry.name.strip_prefix("oauth/provider/")?.parse().ok());
        Ok(named.collect())
    }

    /// Takes the tokens of an ended connection out of the vault, and those that wait in its inbox.
    ///
    /// # Errors
    /// As [`Vault::put`].
    pub async fn forget_tokens(&mut self, entry: &str) -> Result<(), ClientError> {
        self.drop_inbox(|item| item.name.as_deref() == Some(entry)).await?;
        if self.list().await?.iter().any(|there| there.name == entry) {
            self.delete(entry).await?;
        }
        Ok(())
    }

    /// As [`Vault::unlock_to_write`], and gives the cell the settings and tokens of providers. Tokens that wait in the
    /// inbox are filed first: a provider that is shown a refresh token from before ends them all.
    ///
    /// # Errors
    /// As [`Vault::unlock_container`]; [`ClientError::Usage`] for a provider without settings.
    pub async fn unlock_with(
        &mut self,
        container: ContainerId,
        gifts: Gifts<'_>,
        lease: Duration,
        accept_host: bool,
    ) -> Result<UnlockedCell, ClientError> {
        let Gifts { mapping, may_write, connect, conversations, new_conversations, accept_older_volume } =
            gifts;
        gifts.check()?;
        let (mut mapping, mut may_write) = (mapping.to_vec(), may_write.to_vec());
        if !connect.is_empty() {
            let ours: Vec<String> = connect.iter().map(tokens_entry).collect();
            // tokens are a cell's to send, and no taker's of a share
            let tokens = |item: &Arrived| {
                item.share.is_none() && item.name.as_ref().is_some_and(|name| ours.contains(name))
            };
            self.file_inbox_where(tokens).await?;
            may_write.extend(ours);
        }
        if new_conversations {
            may_write.push(NEW_CONVERSATIONS.to_owned());
        }
        if !conversations.is_empty() {
            // one of them may have been begun by a cell
            self.file_conversations().await?;
        }
        let there = if connect.is_empty() { Vec::new() } else { self.list().await? };
        let has = |name: &String| there.iter().any(|entry| entry.name == *name);
        for (number, provider) in connect.iter().enumerate() {
            let (settings, tokens) = (settings_entry(provider), tokens_entry(provider));
            if !has(&settings) {
                return Err(ClientError::Usage(format!(
                    "the vault has no settings of `{provider}`: `ocmt oauth provider set {provider} --client-id …`"
                )));
            }
            mapping.push((format!("{SETTINGS_VARIABLE}{number}").as_str(), settings.as_str()).into());
            if has(&tokens) {
                mapping.push((format!("{TOKENS_VARIABLE}{number}").as_str(), tokens.as_str()).into());
            }
        }
        let given = Given { mapping: &mapping, may_write: &may_write, conversations, accept_older_volume };
        self.unlock_given(container, given, lease, accept_host).await
    }

    /// Has the cell of an unlocked container begin a connection, and believes the address that comes back only if that
    /// cell made it.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with what is to be done first; [`ClientError::Node`] if somebody between here and the
    /// cell made the address.
    pub async fn begin_connection(
        &self,
        container: ContainerId,
        provider: &ProviderName,
        scopes: &[String],
    ) -> Result<PendingConnection, ClientError> {
        let request = pb::BeginAuthorizationRequest {
            container_id: container.to_string(),
            provider: provider.to_string(),
            scopes: scopes.to_vec(),
            idempotency_key: idempotency_key(),
        };
        let begun = self.client().oauth().begin_authorization(request).await?.into_inner();
        let (unlock, authorization) =
            (id(&begun.unlock_id, "unlock_id")?, id(&begun.authorization_id, "authorization_id")?);
        let key = self.unlock_key(unlock);
        let offered = Offered { unlock, authorization, provider, url: &begun.authorization_url };
        offered
            .check(&key, &begun.proof)
            .map_err(|_| ClientError::Node("the address to send you to is not of your container's cell"))?;
        if self.last_unlock(container).await? != Some(unlock) {
            return Err(ClientError::Node("the address to send you to is of an unlock from before"));
        }
        let mut said = query::of(&begun.authorization_url);
        let wanted = if scopes.is_empty() { self.provider(provider).await?.scopes } else { scopes.to_vec() };
        if said.remove("scope").unwrap_or_default() != wanted.join(" ") {
            return Err(ClientError::Node("the address to send you to asks for something else than you do"));
        }
        let redirect = said.remove("redirect_uri").ok_or(ClientError::Answer("authorization_url"))?;
        // a place of its own for each provider is what tells their answers apart
        if !redirect.ends_with(&format!("/oauth/callback/{provider}")) {
            return Err(ClientError::Node("the address to send you to comes back elsewhere"));
        }
        Ok(PendingConnection {
            client: self.client().clone(),
            container,
            unlock,
            key,
            authorization,
            provider: provider.clone(),
            state: said.remove("state").ok_or(ClientError::Answer("authorization_url"))?,
            redirect,
            url: begun.authorization_url,
            expires_at: time(&present(begun.expires_at, "expires_at")?),
        })
    }
}

impl PendingConnection {
    /// Where to open a browser.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Has the cell redeem what is in the address that the browser ended at; once.
    ///
    /// # Errors
    /// [`ClientError::Usage`] if it is not the end of this authorization, or the provider says that nothing was
    /// allowed; [`ClientError::Refused`].
    pub async fn finish(&self, came_back_at: &str) -> Result<Connection, ClientError> {
        let request = pb::FinishAuthorizationRequest {
            container_id: self.container.to_string(),
            state: self.state.clone(),
            answer: self
                .answer(came_back_at)?
                .seal(self.unlock, (self.authorization, &self.provider), &self.key, &mut rand::rng())?
                .into(),
            idempotency_key: idempotency_key(),
        };
        let made = self.client.oauth().finish_authorization(request).await?.into_inner();
        connection(present(made.connection, "connection")?)
    }

    /// What the provider sent back, if this is where this authorization ends.
    fn answer(&self, came_back_at: &str) -> Result<Answer, ClientError> {
        let wrong = |why: &str| Err(ClientError::Usage(why.to_owned()));
        let came_back_at = came_back_at.trim();
        // each provider has its own: another's answer ends elsewhere
        if came_back_at.split_once('?').map(|(place, _)| place) != Some(self.redirect.as_str()) {
            return wrong(
                "that is not the address of the page where this ends: copy all of it, and of this provider",
            );
        }
        let mut said = query::of(came_back_at);
        if said.remove("state").as_deref() != Some(self.state.as_str()) {
            return wrong("that address is of another authorization: begin again");
        }
        if let Some(error) = said.remove("error") {
            let name: String =
                error.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(64).collect();
            return wrong(&format!("nothing was connected: the provider says `{name}`"));
        }
        match said.remove("code") {
            Some(code) if !code.is_empty() => {
                Ok(Answer { code: Zeroizing::new(code), issuer: said.remove("iss") })
            }
            _ => wrong("that address holds no code: copy all of it"),
        }
    }
}

impl Client {
    /// The connections of a container.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn connections(&self, container: ContainerId) -> Result<Vec<Connection>, ClientError> {
        let (mut all, mut page_token) = (Vec::new(), String::new());
        let mut pages = Pages::default();
        loop {
            let request =
                pb::ListConnectionsRequest { container_id: container.to_string(), page_size: 0, page_token };
            let page = self.oauth().list_connections(request).await?.into_inner();
            for one in page.connections {
                all.push(connection(one)?);
            }
            pages.turn(&page.next_page_token)?;
            if page.next_page_token.is_empty() {
                return Ok(all);
            }
            page_token = page.next_page_token;
        }
    }

    /// Has the cell end a connection at its provider; with `anyway` it is forgotten also if nobody can be told. Whether
    /// the provider took that.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn disconnect(&self, connection: ConnectionId, anyway: bool) -> Result<bool, ClientError> {
        let request = pb::DisconnectRequest {
            connection_id: connection.to_string(),
            anyway,
            idempotency_key: idempotency_key(),
        };
        Ok(self.oauth().disconnect(request).await?.into_inner().revoked_at_provider)
    }
}

fn connection(it: pb::Connection) -> Result<Connection, ClientError> {
    Ok(Connection {
        id: id(&it.connection_id, "connection_id")?,
        container: id(&it.container_id, "container_id")?,
        provider: it.provider,
        scopes: it.scopes,
        created_at: it.created_at.as_ref().map(time),
        refreshed_at: it.refreshed_at.as_ref().map(time),
        unfiled: it.unfiled,
    })
}
