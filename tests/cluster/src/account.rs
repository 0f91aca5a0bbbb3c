//! Somebody with a vault of their own, who writes to it from several devices at once.
//!
//! The devices share one unlocked vault here, so that they can race for the next version without running
//! Argon2id for each try: each takes the newest state known, makes a change, and the node lets one win.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use anyhow::Context as _;
use bytes::Bytes;
use ocmt::local::Mailbox;
use ocmt_client::{
    Client, Identity,
    connect::{Bearer, Target},
    state::LocalState,
    vault::{Key, Vault},
};
use ocmt_crypto::{
    datakey::VaultScope,
    entry::{Attributes, Entry, EntryName},
    kdf::{Cost, Passphrase},
    object::VaultObject,
    slot::NewSlot,
    vault::{self, Change, Rollback, UnlockedVault, Upload},
};
use ocmt_proto::v1 as pb;
use ocmt_types::{Clock as _, IdGen, RandomIds, SystemClock, VaultId};
use sha2::{Digest as _, Sha256};

use crate::history::{History, State};

const PASSPHRASE: &str = "a passphrase for a cluster under load";

/// One person, their vault, and what was seen of it.
pub struct Account {
    /// Their tenant and user.
    pub identity: Identity,
    /// Signed in.
    pub bearer: Bearer,
    /// Their vault.
    pub vault: VaultId,
    /// What the vault began with.
    pub first: State,
    /// What was seen since.
    pub history: History,
    keys: Mutex<Keys>,
}

struct Keys {
    open: UnlockedVault,
    /// Changes sent, by what they would make of the vault, until it is known which of them won.
    sent: BTreeMap<State, Change>,
}

/// A change on its way.
pub struct Proposal {
    /// The version it goes on from.
    pub expected: u64,
    /// What it would put there.
    pub content: u64,
    /// As it is sent, every time with the same key.
    pub request: pb::BatchPutEntriesRequest,
}

impl Account {
    /// Signs somebody up at `target` and makes their vault.
    ///
    /// # Errors
    /// It does not work.
    pub async fn found(name: &str, target: Target, mailbox: &Mailbox) -> anyhow::Result<Self> {
        let email = format!("{name}@cluster.example");
        let pending = Client::connect(target).await?.sign_up(&email, &format!("{name}'s tenant")).await?;
        let letter = mailbox.take(&email, "Finish your sign-up").await.context("no letter came")?;
        let client = pending.finish(letter.link().context("no link in it")?, "cluster test").await?;
        let identity = client.identity()?;
        let vault: VaultId = (&RandomIds as &dyn IdGen).id();
        let scope = VaultScope { tenant: identity.tenant, vault };
        let passphrase = Passphrase::new(PASSPHRASE)?;
        let (open, upload) = tokio::task::spawn_blocking(move || {
            vault::create(scope, &[NewSlot::Passphrase(&passphrase, Cost::LEAST)], &mut rand::rng())
        })
        .await??;
        client.vaults().create_vault(creation(vault, upload)).await?;
        Ok(Self {
            identity,
            bearer: Bearer(client.credential().cloned()),
            vault,
            first: state_of(&open),
            history: History::default(),
            keys: Mutex::new(Keys { open, sent: BTreeMap::new() }),
        })
    }

    /// A change of the entry `name` on top of the newest state known.
    ///
    /// # Errors
    /// The vault is full.
    pub fn propose(&self, name: &str, value: &[u8]) -> anyhow::Result<Proposal> {
        let mut keys = self.keys();
        let entry = Entry {
            name: EntryName::new(name)?,
            value: value.to_vec().into(),
            attributes: Attributes { written_at: SystemClock.now(), ..Attributes::default() },
        };
        let mut edit = keys.open.edit();
        edit.put(&entry, &mut rand::rng())?;
        let change = edit.finish()?;
        let state = State { version: change.counter(), content: content(&change.manifest) };
        let request = pb::BatchPutEntriesRequest {
            vault_id: self.vault.to_string(),
            puts: change.objects.iter().map(to_wire).collect(),
            deletes: Vec::new(),
            manifest: change.manifest.clone().into(),
            idempotency_key: fresh_key(),
        };
        keys.sent.insert(state, change);
        Ok(Proposal { expected: state.version - 1, content: state.content, request })
    }

    /// The vault was seen in this state: what made it is taken over, what lost is forgotten.
    ///
    /// # Errors
    /// The change does not fit on the state before it.
    pub fn learn(&self, state: State) -> anyhow::Result<()> {
        let mut keys = self.keys();
        if state.version == state_of(&keys.open).version + 1
            && let Some(change) = keys.sent.remove(&state)
        {
            keys.open.apply(change)?;
        }
        let version = state_of(&keys.open).version;
        keys.sent.retain(|sent, _| sent.version > version);
        Ok(())
    }

    /// Unlocks the vault as another device would, with everything checked that its owner signed; the state.
    ///
    /// # Errors
    /// It is not what its owner signed, or cannot be reached.
    pub async fn unlock(&self, target: Target, device: &LocalState) -> anyhow::Result<State> {
        let vault = self.open(target, device).await?;
        vault.list().await?;
        Ok(state_of(vault.keys()))
    }

    /// The vault on a device of its own. Whoever writes there has the devices of a load lose track.
    ///
    /// # Errors
    /// As [`Account::unlock`].
    pub async fn open(&self, target: Target, device: &LocalState) -> anyhow::Result<Vault> {
        let client = Client::connect(target).await?;
        let credential = self.bearer.0.clone().context("not signed in")?;
        let client = client.signed_in(credential, self.identity);
        let key = Key::Passphrase(Passphrase::new(PASSPHRASE)?);
        Ok(client.unlock_vault(Some(self.vault), key, device, Rollback::Refuse).await?)
    }

    fn keys(&self) -> MutexGuard<'_, Keys> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The state that a node shows.
pub fn shown(answer: &pb::GetVaultResponse) -> Option<State> {
    let counter = answer.vault.as_ref()?.counter;
    Some(State { version: counter, content: content(&answer.manifest) })
}

/// An idempotency key.
pub fn fresh_key() -> Bytes {
    Bytes::copy_from_slice(&rand::random::<[u8; 16]>())
}

fn state_of(open: &UnlockedVault) -> State {
    let seen = open.seen();
    State { version: seen.counter, content: first_bytes(&seen.manifest_hash.0) }
}

fn content(manifest: &[u8]) -> u64 {
    first_bytes(&Sha256::digest(manifest))
}

fn first_bytes(digest: &[u8]) -> u64 {
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn creation(vault: VaultId, upload: Upload) -> pb::CreateVaultRequest {
    pb::CreateVaultRequest {
        vault_id: vault.to_string(),
        group_id: String::new(),
        verify_key: upload.verify_key.0.to_vec().into(),
        slots: upload.slots.into_iter().map(Into::into).collect(),
        objects: upload.objects.iter().map(to_wire).collect(),
        manifest: upload.manifest.into(),
        idempotency_key: fresh_key(),
        ..Default::default()
    }
}

fn to_wire(object: &VaultObject) -> pb::VaultObject {
    pb::VaultObject {
        object_id: object.object_id.0.to_vec().into(),
        version: object.version,
        wrapped_key: object.wrapped_key.clone().into(),
        body: object.body.clone().into(),
    }
}
