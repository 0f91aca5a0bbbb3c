//! Keys of people of one's tenant that this device has pinned, and one's own.

use data_encoding::HEXLOWER;
use ocmt_crypto::{seal::SealPublicKey, sign::VerifyKey};
use ocmt_types::{TenantId, UserId};

use super::{LocalState, damaged};
use crate::{ClientError, share::PersonKeys};

impl LocalState {
    /// The keys pinned for whoever has this address.
    ///
    /// # Errors
    /// [`ClientError::State`].
    pub fn person_pin(&self, tenant: TenantId, email: &str) -> Result<Option<PersonKeys>, ClientError> {
        let content = self.read()?;
        let pinned = content.people.get(&person(tenant, email));
        pinned.map(|hex| parse(hex).ok_or_else(|| damaged(&self.path()))).transpose()
    }

    /// The keys of whoever has this address, if their words were compared: what is sealed is sealed to these alone.
    ///
    /// # Errors
    /// [`ClientError::State`].
    pub fn compared_keys(&self, tenant: TenantId, email: &str) -> Result<Option<PersonKeys>, ClientError> {
        let (content, who) = (self.read()?, person(tenant, email));
        let pinned = content.people.get(&who).filter(|pinned| content.compared.get(&who) == Some(pinned));
        pinned.map(|hex| parse(hex).ok_or_else(|| damaged(&self.path()))).transpose()
    }

    /// Pins the keys of whoever has this address without comparing anything: the first ones stay. What they signed is
    /// believed; nothing is sealed to them.
    ///
    /// # Errors
    /// [`ClientError::Usage`] if others are pinned.
    pub fn pin_person(&self, tenant: TenantId, email: &str, keys: &PersonKeys) -> Result<(), ClientError> {
        let mut same = true;
        self.change(|content| {
            let pinned = content.people.entry(person(tenant, email)).or_insert_with(|| hex(keys));
            same = *pinned == hex(keys);
        })?;
        if same {
            return Ok(());
        }
        Err(ClientError::Usage(format!(
            "the keys shown for {email} are others than this device knows. Call them: only if they really have new \
             keys, repeat this with --words and the six words that you hear from them"
        )))
    }

    /// Pins the keys of whoever has this address, whose words were compared, in place of others.
    ///
    /// # Errors
    /// [`ClientError::State`].
    pub fn compared_person(
        &self,
        tenant: TenantId,
        email: &str,
        keys: &PersonKeys,
    ) -> Result<(), ClientError> {
        self.change(|content| {
            content.people.insert(person(tenant, email), hex(keys));
            content.compared.insert(person(tenant, email), hex(keys));
        })
    }

    /// One's own public keys, as the vault had them that this device opened last.
    ///
    /// # Errors
    /// [`ClientError::State`].
    pub fn own_keys(&self, tenant: TenantId, user: UserId) -> Result<Option<PersonKeys>, ClientError> {
        let content = self.read()?;
        let kept = content.own.get(&own(tenant, user));
        kept.map(|hex| parse(hex).ok_or_else(|| damaged(&self.path()))).transpose()
    }

    /// Keeps one's own public keys, out of one's open vault: no node's word stands for them.
    pub(crate) fn keep_own(
        &self,
        tenant: TenantId,
        user: UserId,
        keys: &PersonKeys,
    ) -> Result<(), ClientError> {
        if self.own_keys(tenant, user)?.as_ref() == Some(keys) {
            return Ok(());
        }
        self.change(|content| {
            content.own.insert(own(tenant, user), hex(keys));
        })
    }
}

fn own(tenant: TenantId, user: UserId) -> String {
    format!("{tenant}/{user}")
}

fn person(tenant: TenantId, email: &str) -> String {
    format!("{tenant}/{}", email.to_lowercase())
}

fn hex(keys: &PersonKeys) -> String {
    HEXLOWER.encode(&[keys.signing.0, keys.sealing.0].concat())
}

fn parse(hex: &str) -> Option<PersonKeys> {
    let bytes = HEXLOWER.decode(hex.as_bytes()).ok()?;
    let (signing, sealing) = bytes.split_first_chunk::<32>()?;
    Some(PersonKeys { signing: VerifyKey(*signing), sealing: SealPublicKey(sealing.try_into().ok()?) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ocmt_types::Id as _;

    use super::*;

    #[test]
    fn the_first_keys_of_a_person_stay_until_others_were_compared() {
        let dir = tempfile::tempdir().unwrap();
        let state = LocalState::open(dir.path()).unwrap();
        let (here, there) = (TenantId::from_bytes([1; 16]), TenantId::from_bytes([2; 16]));
        let keys = |n| PersonKeys { signing: VerifyKey([1; 32]), sealing: SealPublicKey([n; 32]) };
        assert_eq!(state.person_pin(here, "bob@example.com").unwrap(), None);
        state.pin_person(here, "bob@example.com", &keys(1)).unwrap();
        state.pin_person(here, "Bob@example.com", &keys(1)).unwrap();
        assert!(matches!(state.pin_person(here, "bob@example.com", &keys(2)), Err(ClientError::Usage(_))));
        assert_eq!(state.person_pin(here, "BOB@example.com").unwrap(), Some(keys(1)));
        state.pin_person(there, "bob@example.com", &keys(2)).unwrap();
        state.compared_person(here, "bob@example.com", &keys(2)).unwrap();
        assert_eq!(state.person_pin(here, "bob@example.com").unwrap(), Some(keys(2)));
    }

    #[test]
    fn what_was_pinned_unseen_is_not_compared() {
        let dir = tempfile::tempdir().unwrap();
        let state = LocalState::open(dir.path()).unwrap();
        let here = TenantId::from_bytes([1; 16]);
        let keys = |n| PersonKeys { signing: VerifyKey([1; 32]), sealing: SealPublicKey([n; 32]) };
        state.pin_person(here, "bob@example.com", &keys(1)).unwrap();
        assert_eq!(state.compared_keys(here, "bob@example.com").unwrap(), None);
        state.compared_person(here, "bob@example.com", &keys(2)).unwrap();
        assert_eq!(state.compared_keys(here, "BOB@example.com").unwrap(), Some(keys(2)));
        // and stays compared when it is seen again
        state.pin_person(here, "bob@example.com", &keys(2)).unwrap();
        assert_eq!(state.compared_keys(here, "bob@example.com").unwrap(), Some(keys(2)));
    }

    #[test]
    fn own_keys_are_those_of_the_vault_that_was_opened_last() {
        let dir = tempfile::tempdir().unwrap();
        let state = LocalState::open(dir.path()).unwrap();
        let (tenant, ada, bob) =
            (TenantId::from_bytes([1; 16]), UserId::from_bytes([1; 16]), UserId::from_bytes([2; 16]));
        let keys = |n| PersonKeys { signing: VerifyKey([1; 32]), sealing: SealPublicKey([n; 32]) };
        assert_eq!(state.own_keys(tenant, ada).unwrap(), None);
        state.keep_own(tenant, ada, &keys(1)).unwrap();
        state.keep_own(tenant, bob, &keys(3)).unwrap();
        state.keep_own(tenant, ada, &keys(2)).unwrap();
        assert_eq!(state.own_keys(tenant, ada).unwrap(), Some(keys(2)));
    }
}
