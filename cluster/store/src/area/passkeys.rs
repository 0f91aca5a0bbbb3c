//! Sign-in by passkey: whose a passkey is, and the challenges of those who have not signed in yet.

use ocmt_types::{Digest32, EnrollmentId, Timestamp, UserId};

use super::directory::DirectoryStore;
use crate::{
    Filter, StoreError,
    backend::{Named, Scope},
    kernel::row::Row as _,
    tables::{PasskeyEntry, PasskeySignIn},
    tx::FencedTx,
};

/// Challenges that wait for an answer in the whole cluster: strangers make them.
pub(crate) const MOST_PASSKEY_SIGN_INS: i64 = 20_000;

impl DirectoryStore {
    /// Keeps a challenge. Those that have ended make room.
    ///
    /// # Errors
    /// [`StoreError::TooMany`] if 20,000 wait for an answer; [`StoreError::AlreadyExists`],
    /// [`StoreError::Unavailable`].
    pub async fn put_passkey_sign_in(&self, wish: &PasskeySignIn, now: Timestamp) -> Result<(), StoreError> {
        let table = PasskeySignIn::table().name;
        let mut tx = self.backend.begin(Scope::Cluster).await?;
        // counted: two that ask together must not both be the last
        tx.serialise("sign-ins by passkey").await?;
        tx.delete(PasskeySignIn::expires_at.le(now)).await?;
        if tx.count::<PasskeySignIn>(Filter::all()).await? >= MOST_PASSKEY_SIGN_INS {
            let most = usize::try_from(MOST_PASSKEY_SIGN_INS).unwrap_or(usize::MAX);
            return Err(StoreError::TooMany { table, most });
        }
        if !tx.insert(wish).await? {
            return Err(StoreError::AlreadyExists { table });
        }
        tx.commit().await
    }

    /// Whose a passkey is.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn passkey(&self, credential_hash: Digest32) -> Result<Option<PasskeyEntry>, StoreError> {
        let of = PasskeyEntry::credential_hash.eq(credential_hash);
        self.backend.begin_read(Scope::Cluster).await?.first(of, false).await
    }
}

impl FencedTx {
    /// Consumes a challenge that has not ended, of the client that asked for it: of many callers exactly one gets
    /// it, with the sign-in that it is for. `None` leaves it to that client.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn take_passkey_sign_in(
        &mut self,
        assertion: EnrollmentId,
        binding_hash: Digest32,
        now: Timestamp,
    ) -> Result<Option<PasskeySignIn>, StoreError> {
        let good = PasskeySignIn::assertion_id
            .eq(assertion)
            .and(PasskeySignIn::binding_hash.eq(binding_hash))
            .and(PasskeySignIn::expires_at.gt(now));
        let tx = self.beneath();
        tx.name(Named::PasskeySignIn, &assertion.to_string()).await?;
        Ok(tx.take(good).await?.pop())
    }

    /// Makes a passkey this user's; `false` if it is an account's already, in whichever tenant.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Full`].
    pub async fn list_passkey(
        &mut self,
        credential_hash: Digest32,
        user_id: UserId,
    ) -> Result<bool, StoreError> {
        let entry = PasskeyEntry { credential_hash, tenant_id: self.tenant(), user_id };
        self.beneath().insert(&entry).await
    }

    /// Takes a passkey of this tenant out of the directory; `false` if it was not there.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Full`].
    pub async fn unlist_passkey(&mut self, credential_hash: Digest32) -> Result<bool, StoreError> {
        let own = PasskeyEntry::tenant_id.eq(self.tenant());
        let entry = PasskeyEntry::credential_hash.eq(credential_hash).and(own);
        Ok(self.beneath().delete::<PasskeyEntry>(entry).await? > 0)
    }
}
