//! Requests for more than one has of an entry, and what another person's device makes of them.

use std::time::Duration;

use data_encoding::HEXLOWER;
use ocmt_crypto::{
    grant,
    object::VaultObject,
    seal::SealPublicKey,
    shared::{Acts, Basis},
    sign::VerifyKey,
    unlock::WriteRight,
};
use ocmt_proto::v1 as pb;
use ocmt_types::{
    CapabilityId, Clock as _, Digest32, IdGen, ProgramTokenId, RandomIds, ShareId, SystemClock, Timestamp,
    UserId, VaultId,
};
use serde::Serialize;

use crate::{
    Client, ClientError,
    client::{id, idempotency_key, present},
    pages::Pages,
    share::{Permission, SharedRight, permission, right, was_refused},
    vault::{Vault, digest},
    wire::{as_text, duration, millis, time},
};

/// Where a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CapabilityState {
    /// Waits for another person.
    Requested,
    /// Approved.
    Approved,
    /// Refused.
    Denied,
    /// Run out, or taken back.
    Expired,
}

impl CapabilityState {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Expired => "expired",
        }
    }
}

/// A program that asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AskingProgram {
    /// By which token.
    pub id: ProgramTokenId,
    /// What its user calls it.
    pub name: String,
    /// Its key, as the node says.
    #[serde(serialize_with = "as_text")]
    pub key: Digest32,
    /// Of one that asks to write: the key that it signs with, in hexadecimal, as the node says.
    pub sign_key: Option<String>,
}

/// A request, or what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Capability {
    /// Which.
    pub id: CapabilityId,
    /// Where it stands.
    pub state: CapabilityState,
    /// Who asked; empty if a program did.
    pub requester_email: String,
    /// The program that asked.
    pub program: Option<AskingProgram>,
    /// Who decided.
    pub decided_by: Option<UserId>,
    /// Of which vault.
    pub vault: VaultId,
    /// Of which entry.
    #[serde(serialize_with = "as_text")]
    pub object: Digest32,
    /// What is asked for; once it is approved, what was given.
    pub permissions: Vec<Permission>,
    /// Why.
    pub reason: String,
    /// For how long it is asked, in milliseconds.
    pub lifetime_ms: u64,
    /// When it was asked for.
    pub requested_at: Option<Timestamp>,
    /// It lapses then; once it is approved, it ends then.
    pub expires_at: Option<Timestamp>,
    /// Of what was given: the share by which a person has it, or what a program may write is known by.
    pub share: Option<ShareId>,
    /// To the program that may write, while that is in force.
    pub right: Option<SharedRight>,
}

impl Capability {
    /// Who asked, for people.
    pub fn requester(&self) -> &str {
        self.program.as_ref().map_or(&self.requester_email, |program| &program.name)
    }
}

impl Client {
    /// Asks for more of an entry that one knows by a share, or as a program of any of its user's vault.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn request_capability(
        &self,
        vault: VaultId,
        object: Digest32,
        permissions: &[Permission],
        lifetime: Duration,
        reason: &str,
    ) -> Result<Capability, ClientError> {
        self.request_signed(vault, object, permissions, (lifetime, reason), None).await
    }

    /// The same of a program that asks to write, which says the key that it signs with.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn request_signed(
        &self,
        vault: VaultId,
        object: Digest32,
        permissions: &[Permission],
        (lifetime, reason): (Duration, &str),
        signs: Option<VerifyKey>,
    ) -> Result<Capability, ClientError> {
        let request = pb::RequestCapabilityRequest {
            sign_key: signs.map(|key| key.0.to_vec()).unwrap_or_default().into(),
            object: format!("entry:{object}"),
            vault_id: vault.to_string(),
            permissions: permissions.iter().map(|one| one.to_pb()).collect(),
            lifetime: Some(duration(lifetime)),
            reason: reason.to_owned(),
            idempotency_key: idempotency_key(),
        };
        let answer = self.shares().request_capability(request).await?.into_inner();
        capability(present(answer.capability, "capability")?)
    }

    /// Requests of one's own, and those about one's own entries, newest first.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_capabilities(&self, waiting: bool) -> Result<Vec<Capability>, ClientError> {
        let (mut all, mut page_token) = (Vec::new(), String::new());
        let mut pages = Pages::default();
        loop {
            let request = pb::ListCapabilitiesRequest { waiting, page_size: 100, page_token };
            let page = self.shares().list_capabilities(request).await?.into_inner();
            for one in page.capabilities {
                all.push(capability(one)?);
            }
            pages.turn(&page.next_page_token)?;
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(all);
            }
        }
    }

    /// Refuses a request.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn deny_capability(&self, which: CapabilityId) -> Result<Capability, ClientError> {
        let request = pb::DenyCapabilityRequest {
            capability_id: which.to_string(),
            idempotency_key: idempotency_key(),
        };
        let answer = self.shares().deny_capability(request).await?.into_inner();
        capability(present(answer.capability, "capability")?)
    }
}

impl Vault {
    /// The name of the entry of this vault that a request is about.
    ///
    /// # Errors
    /// [`ClientError::Usage`] if it is of another vault, or no entry.
    pub async fn asked_name(&self, of: &Capability) -> Result<String, ClientError> {
        self.asked(of).await.map(|(_, name)| name)
    }

    /// The entry that a request is about, with its name: what is given is what was named. What is no secret, such as the
    /// key of a volume, is given to nobody.
    async fn asked(&self, of: &Capability) -> Result<(VaultObject, String), ClientError> {
        let other = of.vault != self.id();
        if other || !self.keys().leaves().any(|leaf| leaf.object_id == of.object) {
            return Err(ClientError::Usage("the request is about no secret of yours".to_owned()));
        }
        let object = self.object(of.object).await?;
        let name = self.keys().open_entry(&object)?.name.expose().to_owned();
        Ok((object, name))
    }

    /// Gives what was asked for of an entry of this vault, or a part of it, to somebody whose words were compared on this
    /// device, or to a program whose key it has pinned.
    ///
    /// # Errors
    /// [`ClientError::Usage`] if the words of the requester were not compared, or the keys are others; [`ClientError::Refused`].
    pub async fn approve_capability(
        &self,
        of: &Capability,
        permissions: &[Permission],
        lifetime: Duration,
    ) -> Result<Capability, ClientError> {
        let (object, _) = self.asked(of).await?;
        self.approve(of, permissions, lifetime, self.sealed_for(of, &object, permissions)?, None).await
    }

    /// The same to a program that asks to write, whose signing key somebody has read where the program runs. The vault's
    /// ledger says so first, to that key: it is good once, for the version that is there now, until its time.
    ///
    /// # Errors
    /// As [`Vault::approve_capability`]; [`ClientError::Usage`] if the node shows another signing key.
    pub async fn approve_writing(
        &mut self,
        of: &Capability,
        permissions: &[Permission],
        lifetime: Duration,
        signs: VerifyKey,
    ) -> Result<Capability, ClientError> {
        let (object, _) = self.asked(of).await?;
        let Some(program) = &of.program else {
            return Err(ClientError::Usage(
                "a person is given writing by a share: `ocmt share give`".to_owned(),
            ));
        };
        if program.sign_key.as_deref() != Some(HEXLOWER.encode(&signs.0).as_str()) {
            let text = format!(
                "the node shows another signing key for the program {} than the one that was read to you: give it nothing",
                program.name
            );
            return Err(ClientError::Usage(text));
        }
        let grants = self.sealed_for(of, &object, permissions)?;
        let ids: &dyn IdGen = &RandomIds;
        let (share, now) = (ids.id::<ShareId>(), SystemClock.now());
        let mut ledger = self.ledger().await?;
        self.forget_ended(&mut ledger, now).await?;
        let basis = Basis::of(self.keys().scope(), &object);
        let right = WriteRight::new(
            (share, object.object_id),
            Acts { write: true, delete: false },
            (signs, self.program_key(program)?),
            self.keys().keyring().inbox.public(),
            now,
            Some(now + lifetime),
        )
        .once(&basis);
        let word = self.write_grant(&right, basis);
        ledger.give(right)?;
        self.may_forget(&ledger.trim()).await?;
        self.keep_ledger(&ledger).await?;
        let given = self.approve(of, permissions, lifetime, grants, Some((share, word))).await;
        match &given {
            Err(error) if was_refused(error) => self.forget_share(share).await?,
            // it ends with the token at the latest. It is given by now: a ledger that another device just wrote has it
            // longer, and no more than once
            Ok(Capability { expires_at: Some(at), .. }) => drop(self.end_share_by(share, *at).await),
            _ => {}
        }
        given
    }

    /// The entry's key for who asked, if it is given to read.
    fn sealed_for(
        &self,
        of: &Capability,
        object: &VaultObject,
        permissions: &[Permission],
    ) -> Result<Vec<pb::EntryGrant>, ClientError> {
        if !permissions.contains(&Permission::Read) {
            return Ok(Vec::new());
        }
        let taker = match &of.program {
            Some(program) => self.program_key(program)?,
            None => self.compared(&of.requester_email)?.sealing,
        };
        let (key, giver) = (self.keys().data_key(object)?, &self.keys().keyring().identity_signing);
        let sealed = grant::seal(&object.place(self.keys().scope()), &key, &taker, giver, &mut rand::rng())?;
        Ok(vec![pb::EntryGrant {
            object_id: object.object_id.0.to_vec().into(),
            version: object.version,
            sealed_grant: sealed.into(),
        }])
    }

    async fn approve(
        &self,
        of: &Capability,
        permissions: &[Permission],
        lifetime: Duration,
        grants: Vec<pb::EntryGrant>,
        writing: Option<(ShareId, Vec<u8>)>,
    ) -> Result<Capability, ClientError> {
        let request = pb::ApproveCapabilityRequest {
            capability_id: of.id.to_string(),
            permissions: permissions.iter().map(|one| one.to_pb()).collect(),
            lifetime: Some(duration(lifetime)),
            grants,
            share_id: writing.as_ref().map(|(share, _)| share.to_string()).unwrap_or_default(),
            write_grants: writing.into_iter().map(|(_, word)| word.into()).collect(),
            idempotency_key: idempotency_key(),
        };
        let answer = self.client().shares().approve_capability(request).await?.into_inner();
        capability(present(answer.capability, "capability")?)
    }
}

impl Vault {
    /// The key of a program, which the device that made its token knows; what a node says is only held against that.
    fn program_key(&self, program: &AskingProgram) -> Result<SealPublicKey, ClientError> {
        let tenant = self.client().identity()?.tenant;
        match self.state().program_pin(tenant, program.id)? {
            Some(pinned) if pinned == program.key => Ok(SealPublicKey(pinned.0)),
            Some(_) => Err(ClientError::Usage(format!(
                "the node shows another key for the program {} than its token was made for: give it nothing",
                program.name
            ))),
            None => Err(ClientError::Usage(format!(
                "this device does not know the key of the program {}: `ocmt share program key` printed it where the program \
                 runs, say it with --program-key",
                program.name
            ))),
        }
    }
}

fn capability(from: pb::Capability) -> Result<Capability, ClientError> {
    let object = from.object.strip_prefix("entry:").and_then(|hex| HEXLOWER.decode(hex.as_bytes()).ok());
    let object = object.and_then(|bytes| bytes.try_into().ok().map(Digest32));
    Ok(Capability {
        id: id(&from.capability_id, "capability_id")?,
        state: match from.state() {
            pb::CapabilityState::Requested => CapabilityState::Requested,
            pb::CapabilityState::Approved => CapabilityState::Approved,
            pb::CapabilityState::Denied => CapabilityState::Denied,
            pb::CapabilityState::Expired => CapabilityState::Expired,
            pb::CapabilityState::Unspecified => return Err(ClientError::Answer("state")),
        },
        decided_by: match from.decided_by.as_str() {
            "" => None,
            user => Some(id(user, "decided_by")?),
        },
        vault: id(&from.vault_id, "vault_id")?,
        object: object.ok_or(ClientError::Answer("object"))?,
        permissions: from.permissions().map(permission).collect::<Result<_, _>>()?,
        lifetime_ms: from.lifetime.as_ref().map(millis).unwrap_or_default(),
        requested_at: from.requested_at.as_ref().map(time),
        expires_at: from.expires_at.as_ref().map(time),
        program: match from.program_key.as_ref() {
            [] => None,
            key => Some(AskingProgram {
                id: id(&from.requester_id, "requester_id")?,
                name: from.program_name.clone(),
                key: digest(key, "program_key")?,
                sign_key: Some(HEXLOWER.encode(&from.sign_key)).filter(|key| !key.is_empty()),
            }),
        },
        share: match from.share_id.as_str() {
            "" => None,
            share => Some(id(share, "share_id")?),
        },
        right: from.right.as_ref().map(right).transpose()?,
        requester_email: from.requester_email,
        reason: from.reason,
    })
}
