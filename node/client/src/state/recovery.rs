//! What recovery leaves on a device: the requester's half of open ceremonies, for a guardian the owners'
//! identity keys, and for an owner the guardians' keys.

use data_encoding::HEXLOWER;
use ocmt_crypto::{ceremony::Ceremony, guardian::GuardianKeys, seal::SealSecretKey, sign::VerifyKey};
use ocmt_types::{Digest32, GuardianshipId, VaultId};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize as _, Zeroizing};

use super::{LocalState, damaged};
use crate::{ClientError, recovery::RecoveryRequest};

/// A ceremony of this device's making, in hexadecimal.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct StoredRequest {
    params: String,
    secret: String,
}

impl Drop for StoredRequest {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

impl StoredRequest {
    pub(super) fn of(request: &RecoveryRequest) -> Self {
        Self {
            params: HEXLOWER.encode(&request.ceremony.encode()),
            secret: HEXLOWER.encode(request.secret.expose()),
        }
    }

    pub(super) fn to_request(&self) -> Option<RecoveryRequest> {
        let params = HEXLOWER.decode(self.params.as_bytes()).ok()?;
        let secret = Zeroizing::new(HEXLOWER.decode(self.secret.as_bytes()).ok()?);
        Some(RecoveryRequest {
            ceremony: Ceremony::decode(&params).ok()?,
            secret: SealSecretKey::from_slice(&secret).ok()?,
        })
    }
}

impl LocalState {
    /// Keeps a ceremony with the requester's key.
    pub(crate) fn keep_request(&self, request: &RecoveryRequest) -> Result<(), ClientError> {
        self.change(|content| {
            content.requests.insert(request.id().to_string(), StoredRequest::of(request));
        })
    }

    /// The ceremony of this name that this device opened.
    ///
    /// # Errors
    /// [`ClientError::State`].
    pub fn request(&self, ceremony: Digest32) -> Result<Option<RecoveryRequest>, ClientError> {
        let content = self.read()?;
        content
            .requests
            .get(&ceremony.to_string())
            .map(|stored| stored.to_request().ok_or_else(|| damaged(&self.path())))
            .transpose()
    }

    /// All ceremonies that this device opened and has not completed.
    ///
    /// # Errors
    /// [`ClientError::State`].
    pub fn requests(&self) -> Result<Vec<RecoveryRequest>, ClientError> {
        let content = self.read()?;
        let requests = content.requests.values();
        requests.map(|stored| stored.to_request().ok_or_else(|| damaged(&self.path()))).collect()
    }

    /// Forgets a ceremony and wipes its key.
    ///
    /// # Errors
    /// [`ClientError::State`].
    pub fn forget_request(&self, ceremony: Digest32) -> Result<(), ClientError> {
        self.change(|content| {
            content.requests.remove(&ceremony.to_string());
        })
    }

    /// The key pinned for the owner of a guardianship.
    ///
    /// # Errors
    /// [`ClientError::State`].
    pub fn owner_pin(&self, guardianship: GuardianshipId) -> Result<Option<VerifyKey>, ClientError> {
        let content = self.read()?;
        let parse = |hex: &String| {
            let bytes = HEXLOWER.decode(hex.as_bytes()).ok()?;
            bytes.try_into().ok().map(VerifyKey)
        };
        content
            .owners
            .get(&guardianship.to_string())
            .map(|hex| parse(hex).ok_or_else(|| damaged(&self.path())))
            .transpose()
    }

    /// Pins the key of a guardianship's owner: the first one stays.
    ///
    /// # Errors
    /// [`ClientError::Usage`] if another one is pinned.
    pub fn pin_owner(&self, guardianship: GuardianshipId, owner: VerifyKey) -> Result<(), ClientError> {
        match self.owner_pin(guardianship)? {
            Some(pinned) if pinned == owner => Ok(()),
            Some(_) => Err(ClientError::Usage(
                "the owner's key is another than the one this device knows: ask the owner by telephone \
                 before you do anything"
                    .to_owned(),
            )),
            None => self.change(|content| {
                content.owners.entry(guardianship.to_string()).or_insert(HEXLOWER.encode(&owner.0));
            }),
        }
    }

    /// Pins the keys of a guardian of one's own vault, whose words were compared: the first ones stay, under
    /// whatever guardianship the node shows that person later.
    ///
    /// # Errors
    /// [`ClientError::Usage`] if others are pinned.
    pub fn pin_guardian(&self, vault: VaultId, email: &str, keys: &GuardianKeys) -> Result<(), ClientError> {
        let shown = HEXLOWER.encode(&[keys.identity.0, keys.sealing.0].concat());
        let mut same = true;
        self.change(|content| {
            let pinned = content.guardians.entry(guardian(vault, email)).or_insert_with(|| shown.clone());
            same = *pinned == shown;
        })?;
        if same {
            return Ok(());
        }
        Err(ClientError::Usage(format!(
            "the keys shown for {email} are others than those you compared with them: nothing was dealt. \
             Call {email}: only if they really have new keys, end the guardianship with `ocmt guardian \
             resign` and ask them again"
        )))
    }

    /// Forgets the keys of a guardian whom the owner has dismissed.
    ///
    /// # Errors
    /// [`ClientError::State`].
    pub fn forget_guardian(&self, vault: VaultId, email: &str) -> Result<(), ClientError> {
        self.change(|content| {
            content.guardians.remove(&guardian(vault, email));
        })
    }
}

fn guardian(vault: VaultId, email: &str) -> String {
    format!("{vault}/{}", email.to_lowercase())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ocmt_crypto::{ceremony::Purpose, datakey::VaultScope};
    use ocmt_types::{GuardianSetId, Id as _, TenantId, Timestamp, VaultId};

    use super::*;

    fn request() -> RecoveryRequest {
        let secret = SealSecretKey::from_bytes([7; 32]);
        let ceremony = Ceremony {
            nonce: [1; 32],
            scope: VaultScope { tenant: TenantId::from_bytes([1; 16]), vault: VaultId::from_bytes([2; 16]) },
            set: GuardianSetId::from_bytes([3; 16]),
            set_hash: Digest32([4; 32]),
            requester: secret.public(),
            purpose: Purpose::Recovery,
            opened_at: Timestamp(1),
            delay_ms: 2,
            expires_at: Timestamp(3),
            overrides: None,
        };
        RecoveryRequest { ceremony, secret }
    }

    #[test]
    fn a_request_outlives_the_process_and_is_gone_when_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        LocalState::open(dir.path()).unwrap().keep_request(&request()).unwrap();
        let state = LocalState::open(dir.path()).unwrap();
        let kept = state.request(request().id()).unwrap().unwrap();
        assert_eq!((kept.ceremony, kept.secret.expose()), (request().ceremony, &[7; 32]));
        state.forget_request(request().id()).unwrap();
        assert!(state.requests().unwrap().is_empty());
        let text = std::fs::read_to_string(dir.path().join("state.json")).unwrap();
        assert!(!text.contains("07070707"), "the key is still in the file");
    }

    #[test]
    fn the_first_key_of_an_owner_stays() {
        let dir = tempfile::tempdir().unwrap();
        let state = LocalState::open(dir.path()).unwrap();
        let guardianship = GuardianshipId::from_bytes([5; 16]);
        state.pin_owner(guardianship, VerifyKey([1; 32])).unwrap();
        state.pin_owner(guardianship, VerifyKey([1; 32])).unwrap();
        assert!(matches!(state.pin_owner(guardianship, VerifyKey([2; 32])), Err(ClientError::Usage(_))));
        assert_eq!(state.owner_pin(guardianship).unwrap(), Some(VerifyKey([1; 32])));
    }

    #[test]
    fn the_keys_of_a_guardian_stay_until_the_owner_dismisses_them() {
        let dir = tempfile::tempdir().unwrap();
        let state = LocalState::open(dir.path()).unwrap();
        let (vault, other) = (VaultId::from_bytes([5; 16]), VaultId::from_bytes([6; 16]));
        let keys = |n| GuardianKeys {
            identity: VerifyKey([1; 32]),
            sealing: SealSecretKey::from_bytes([n; 32]).public(),
        };
        state.pin_guardian(vault, "grace@example.com", &keys(1)).unwrap();
        state.pin_guardian(vault, "Grace@example.com", &keys(1)).unwrap();
        let swapped = state.pin_guardian(vault, "Grace@Example.com", &keys(2)).unwrap_err();
        assert!(matches!(&swapped, ClientError::Usage(text) if text.contains("Grace@Example.com")));
        state.pin_guardian(other, "grace@example.com", &keys(2)).unwrap();
        state.pin_guardian(vault, "grace@example.com", &keys(1)).expect("the first ones stay");
        state.forget_guardian(vault, "grace@example.com").unwrap();
        state.pin_guardian(vault, "grace@example.com", &keys(2)).unwrap();
    }
}
