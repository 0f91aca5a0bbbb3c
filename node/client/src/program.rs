//! Programs that act for a user: what its user's device makes for one, and what the program does with it.
//!
//! The program makes a key pair of its own. The user's device seals the data keys of the entries that it may read to
//! that key, and gets a token for it. What the program then needs is in a [`ProgramAccess`]; without the program's
//! private key the token opens nothing.

use std::{collections::BTreeMap, time::Duration};

use data_encoding::HEXLOWER;
use ocmt_crypto::{
    datakey::{ObjectPlace, VaultScope},
    entry::Entry,
    grant,
    object::open_body,
    seal::{SealPublicKey, SealSecretKey},
    shared::{SharedAct, WriteGrant},
    sign::{SigningKey, VerifyKey},
};
use ocmt_proto::v1 as pb;
use ocmt_types::{Digest32, MessageId, ProgramTokenId, TenantId, Timestamp, UserId, VaultId};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize as _, Zeroizing};

use crate::{
    Client, ClientError, Identity,
    client::{id, idempotency_key, present},
    connect::Credential,
    pages::Pages,
    share::SharedEntry,
    vault::{Vault, digest, to_object},
    wire::{duration, time},
};

/// What a program needs beside its private key. It holds the token: keep it as one keeps a secret.
#[derive(Serialize, Deserialize)]
pub struct ProgramAccess {
    /// Which token.
    pub token_id: ProgramTokenId,
    /// Of which tenant.
    pub tenant: TenantId,
    /// For whom the program acts.
    pub user: UserId,
    /// Whose entries it may read.
    pub vault: VaultId,
    /// The key that signs the user's grants, in hexadecimal; the program believes no other.
    pub giver: String,
    /// Object ids of entries by name, in hexadecimal.
    pub entries: BTreeMap<String, String>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// The token.
    pub secret: String,
}

impl Drop for ProgramAccess {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

impl ProgramAccess {
    /// The object of an entry.
    fn object(&self, name: &str) -> Result<Digest32, ClientError> {
        let object = self.entries.get(name);
        let object = object.ok_or_else(|| ClientError::Usage(format!("`{name}` was not granted")))?;
        of_hex(object).map(Digest32)
    }
}

fn of_hex(text: &str) -> Result<[u8; 32], ClientError> {
    let bytes = HEXLOWER.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| ClientError::Usage("the file of the program token is damaged".to_owned()))
}

impl Vault {
    /// Makes a token for a program, with which it reads these entries as they are now, for `lifetime`.
    ///
    /// # Errors
    /// [`ClientError::Usage`] if there is no entry of a name; [`ClientError::Refused`].
    pub async fn create_program_token(
        &self,
        name: &str,
        entries: &[String],
        program_key: SealPublicKey,
        lifetime: Duration,
    ) -> Result<ProgramAccess, ClientError> {
        self.create_token_of(self, name, entries, program_key, lifetime).await
    }

    /// The same of another vault that is open here, a group's, in the own name.
    pub(crate) async fn create_token_of(
        &self,
        source: &Self,
        name: &str,
        entries: &[String],
        program_key: SealPublicKey,
        lifetime: Duration,
    ) -> Result<ProgramAccess, ClientError> {
        let scope = source.keys().scope();
        let giver = &self.keys().keyring().identity_signing;
        let (mut grants, mut by_name) = (Vec::new(), BTreeMap::new());
        for entry in entries {
            let object = source.object(source.entry_id(entry)?).await?;
            let key = source.keys().data_key(&object)?;
            let sealed = grant::seal(&object.place(scope), &key, &program_key, giver, &mut rand::rng())?;
            by_name.insert(entry.clone(), object.object_id.to_string());
            grants.push(pb::EntryGrant {
                object_id: object.object_id.0.to_vec().into(),
                version: object.version,
                sealed_grant: sealed.into(),
            });
        }
        let request = pb::CreateProgramTokenRequest {
            name: name.to_owned(),
            vault_id: scope.vault.to_string(),
            program_key: program_key.0.to_vec().into(),
            grants,
            lifetime: Some(duration(lifetime)),
            idempotency_key: idempotency_key(),
        };
        let answer = self.client().shares().create_program_token(request).await?.into_inner();
        let identity = self.client().identity()?;
        let token_id = id(&answer.program_token_id, "program_token_id")?;
        // what it asks for later is sealed to this key, whatever a node says by then
        self.state().pin_program(identity.tenant, token_id, Digest32(program_key.0))?;
        Ok(ProgramAccess {
            token_id,
            tenant: identity.tenant,
            user: identity.user,
            vault: scope.vault,
            giver: HEXLOWER.encode(&giver.verify_key().0),
            entries: by_name,
            expires_at: answer.expires_at.as_ref().map(time),
            secret: answer.secret,
        })
    }

    /// Writes these entries anew under fresh data keys: what was granted of them before opens no version from here on.
    ///
    /// # Errors
    /// As [`Vault::put`].
    pub async fn rekey(&mut self, objects: &[Digest32]) -> Result<(), ClientError> {
        if objects.is_empty() {
            return Ok(());
        }
        let stored = self.objects(objects).await?;
        let mut edit = self.keys().edit();
        for object in &stored {
            edit.put(&self.keys().open_entry(object)?, &mut rand::rng())?;
        }
        let change = edit.finish()?;
        self.commit(change).await
    }
}

/// What a program's token left behind when it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramEnded {
    /// Of which vault: one's own, or a group's.
    pub vault: VaultId,
    /// Objects of it of which the program has had the present key: [`Vault::rekey`] them. The node tells it once.
    pub rekey: Vec<Digest32>,
}

impl Client {
    /// Ends a program's token, at once and on every node.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn revoke_program_token(&self, which: ProgramTokenId) -> Result<ProgramEnded, ClientError> {
        let request = pb::RevokeProgramTokenRequest {
            program_token_id: which.to_string(),
            idempotency_key: idempotency_key(),
        };
        let answer = self.shares().revoke_program_token(request).await?.into_inner();
        let rekey = answer.rekey_object_ids.iter().map(|object| digest(object, "rekey_object_ids"));
        Ok(ProgramEnded { vault: id(&answer.vault_id, "vault_id")?, rekey: rekey.collect::<Result<_, _>>()? })
    }

    /// Lets a program go on that was stopped because it read unusually much.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn release_program_token(&self, which: ProgramTokenId) -> Result<(), ClientError> {
        let request = pb::ReleaseProgramTokenRequest {
            program_token_id: which.to_string(),
            idempotency_key: idempotency_key(),
        };
        self.shares().release_program_token(request).await?;
        Ok(())
    }

    /// The same connections for a program.
    #[must_use]
    pub fn as_program(&self, access: &ProgramAccess) -> Self {
        let identity = Identity { tenant: access.tenant, user: access.user };
        self.signed_in(Credential::new(access.secret.clone()), identity)
    }

    /// Reads an entry that was granted to the program which this client is signed in as.
    ///
    /// # Errors
    /// [`ClientError::Usage`] if it was not granted; [`ClientError::Refused`] with `GRANT_STALE` if it was written
    /// anew since; [`ClientError::Crypto`] if it is not what its owner granted.
    pub async fn read_granted(
        &self,
        access: &ProgramAccess,
        key: &SealSecretKey,
        name: &str,
    ) -> Result<Entry, ClientError> {
        let entry = self.read_object(access, key, access.object(name)?).await?;
        if entry.name.expose() == name {
            return Ok(entry);
        }
        Err(ClientError::Answer("object"))
    }

    /// The same by its object: an entry that the program asked for.
    ///
    /// # Errors
    /// As [`Client::read_granted`].
    pub async fn read_object(
        &self,
        access: &ProgramAccess,
        key: &SealSecretKey,
        wanted: Digest32,
    ) -> Result<Entry, ClientError> {
        let request = pb::GetEntryRequest {
            vault_id: access.vault.to_string(),
            object_id: wanted.0.to_vec().into(),
            version: 0,
        };
        let answer = self.vaults().get_entry(request).await?.into_inner();
        let object = to_object(present(answer.object, "object")?)?;
        let scope = VaultScope { tenant: access.tenant, vault: access.vault };
        let place = ObjectPlace { scope, object: wanted, version: object.version };
        let opened = grant::open(&place, &answer.sealed_grant, key, &VerifyKey(of_hex(&access.giver)?))?;
        Ok(Entry::decode(&open_body(&opened, &place, &object.body)?)?)
    }

    /// Sends a new value of an entry that the program was approved to write. It waits for its user's device, and takes the
    /// place of one that waits.
    ///
    /// # Errors
    /// [`ClientError::Usage`] if nothing was approved, or it has ended; [`ClientError::Crypto`] if it is not the user's word
    /// to this key; [`ClientError::Refused`] with `GRANT_STALE` if the entry was written since.
    pub async fn write_granted(
        &self,
        access: &ProgramAccess,
        signs: &SigningKey,
        entry: Digest32,
        value: Zeroizing<Vec<u8>>,
    ) -> Result<MessageId, ClientError> {
        let asked = self.list_capabilities(false).await?.into_iter();
        // one that is of another version than the present, or used up, is not shown
        let approved =
            asked.filter(|one| one.object == entry && one.right.is_some()).find_map(|one| one.right);
        let Some(right) = approved else {
            let text = "nothing was approved to write this entry, or it has ended: ask with `ocmt share program ask --may write`";
            return Err(ClientError::Usage(text.to_owned()));
        };
        let grant = WriteGrant::open(&right.write_grant, &VerifyKey(of_hex(&access.giver)?))?;
        let (place, act) = (grant.basis.place, SharedAct::Put(value));
        let scope = VaultScope { tenant: access.tenant, vault: access.vault };
        let meant = (place.scope, place.object, grant.taker) == (scope, entry, signs.verify_key());
        if !meant || !grant.acts.allow(&act) {
            return Err(ocmt_crypto::CryptoError::Refused.into());
        }
        self.send_signed(&grant, right.next_sequence, &act, signs).await
    }

    /// The entries that the program sees which this client is signed in as, with their versions.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_granted(&self, access: &ProgramAccess) -> Result<Vec<SharedEntry>, ClientError> {
        let (mut all, mut page_token) = (Vec::new(), String::new());
        let mut pages = Pages::default();
        loop {
            let request =
                pb::ListEntriesRequest { vault_id: access.vault.to_string(), page_size: 0, page_token };
            let answer = self.vaults().list_entries(request).await?.into_inner();
            for entry in answer.entries {
                let object = digest(&entry.object_id, "object_id")?;
                all.push(SharedEntry { object, version: entry.version });
            }
            pages.turn(&answer.next_page_token)?;
            page_token = answer.next_page_token;
            if page_token.is_empty() {
                return Ok(all);
            }
        }
    }
}
