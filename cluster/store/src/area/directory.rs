//! Before sign-in: which tenants know an address, sign-ups on their way, and the birth of a tenant.
//!
//! Everything here is strict SQL that any node may do; a tenant's own entries change only with its users,
//! inside its fenced transaction ([`FencedTx::list_address`]).

use std::time::Duration;

use ocmt_types::{Digest32, Epoch, Incarnation, NodeId, Ownership, Timestamp};

use super::cluster::check_live;
use crate::{
    Filter, StoreError,
    backend::{Backend, Named, Scope},
    kernel::row::Row as _,
    tables::{Address, Signup, Tenant, TenantOwner, User},
    tx::FencedTx,
};

/// Tenants that one address may be listed in: a request before sign-in does work for each of them.
pub const MOST_TENANTS_OF_ADDRESS: usize = 20;
/// Sign-ups of one address that may be asked for, and not used, within [`SIGNUP_WINDOW`].
const MOST_SIGNUPS: usize = 5;
const SIGNUP_WINDOW: Duration = Duration::from_secs(10 * 60);

/// The birth of a tenant.
#[derive(Debug, Clone)]
pub struct Founding {
    /// The tenant.
    pub tenant: Tenant,
    /// Its first user.
    pub owner: User,
    /// The node that claims it.
    pub node_id: NodeId,
    /// The life of that node.
    pub incarnation: Incarnation,
    /// The sign-up that is consumed, by the hash of its token, with the time now; none if a signed-in person
    /// founds another tenant.
    pub signup: Option<(Digest32, Timestamp)>,
}

/// The area of the directory. Cheap to clone.
#[derive(Clone)]
pub struct DirectoryStore {
    pub(super) backend: Backend,
}

impl DirectoryStore {
    pub(crate) fn new(backend: Backend) -> Self {
        Self { backend }
    }

    /// Users behind an address (normalised by the caller), one per tenant, in the order of the tenants' ids.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn addresses(&self, email: &str) -> Result<Vec<Address>, StoreError> {
        self.backend.begin_read(Scope::Cluster).await?.find(Address::email.eq(email), false).await
    }

    /// Keeps a sign-up. It ends the earlier ones of the same address *and device* (the binding hash): others
    /// who name the address end nothing. `false`, with nothing kept, if five of the address were asked for in
    /// the last ten minutes and not used.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] if the token is known; [`StoreError::Unavailable`].
    pub async fn put_signup(&self, signup: &Signup) -> Result<bool, StoreError> {
        let now = signup.created_at;
        let mut tx = self.backend.begin(Scope::Cluster).await?;
        // counted: two that ask together must not both be the fifth
        tx.serialise(&format!("sign-ups of {}", signup.email)).await?;
        let earlier = tx.find(Signup::email.eq(&signup.email).desc(Signup::created_at), true).await?;
        if earlier.iter().filter(|row| row.created_at > now - SIGNUP_WINDOW).count() >= MOST_SIGNUPS {
            return Ok(false);
        }
        for older in earlier {
            if older.binding_hash == signup.binding_hash && older.expires_at > now {
                // the row stays: an ended one counts as asked for
                tx.update_if(&Signup { expires_at: now, ..older }, Filter::all()).await?;
            }
        }
        if !tx.insert(signup).await? {
            return Err(StoreError::AlreadyExists { table: Signup::table().name });
        }
        tx.commit().await?;
        Ok(true)
    }

    /// A sign-up that has not expired, without consuming it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn signup(&self, token_hash: Digest32, now: Timestamp) -> Result<Option<Signup>, StoreError> {
        self.backend.begin_read(Scope::Cluster).await?.first(alive(token_hash, now), false).await
    }

    /// Consumes a sign-up that has not expired: of many callers exactly one gets it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::OutcomeUnknown`].
    pub async fn take_signup(
        &self,
        token_hash: Digest32,
        now: Timestamp,
    ) -> Result<Option<Signup>, StoreError> {
        let mut tx = self.backend.begin(Scope::Cluster).await?;
        let taken = tx.take::<Signup>(alive(token_hash, now)).await?.pop();
        tx.commit().await?;
        Ok(taken)
    }

    /// Drops sign-ups that expired and are of no account any more, and tells how many.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn drop_expired_signups(&self, now: Timestamp) -> Result<u64, StoreError> {
        let mut tx = self.backend.begin(Scope::Cluster).await?;
        let dropped =
            tx.delete(Signup::expires_at.le(now).and(Signup::created_at.le(now - SIGNUP_WINDOW))).await?;
        tx.commit().await?;
        Ok(dropped)
    }

    /// Founds a tenant: consumes the sign-up, claims the tenant under its first epoch, writes the tenant, its
    /// owner and the directory's entry, and hands back the open transaction, so that the first session and
    /// audit records are born with it. Nothing of it stands before [`FencedTx::commit`]. `None` if the sign-up
    /// was used or has expired.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] if the tenant does, [`StoreError::ForeignTenant`] if the user is of
    /// another, [`StoreError::Fenced`] if the node is not live, [`StoreError::TooMany`] if the address has as
    /// many tenants as it may have, [`StoreError::Unavailable`].
    pub async fn create_tenant(&self, founding: &Founding) -> Result<Option<FencedTx>, StoreError> {
        let mut tx = self.backend.begin(Scope::Tenant(founding.tenant.tenant_id)).await?;
        if let Some((token_hash, now)) = founding.signup {
            tx.name(Named::Signup, &token_hash.to_string()).await?;
            if tx.take::<Signup>(alive(token_hash, now)).await?.is_empty() {
                return Ok(None);
            }
        }
        check_live(&mut tx, founding.node_id, founding.incarnation).await?;
        let ownership = Ownership {
            tenant: founding.tenant.tenant_id,
            incarnation: founding.incarnation,
            epoch: Epoch(1),
        };
        let claim = TenantOwner {
            tenant_id: ownership.tenant,
            node_id: Some(founding.node_id),
            incarnation: Some(ownership.incarnation),
            epoch: ownership.epoch,
        };
        if !tx.insert(&claim).await? {
            return Err(StoreError::AlreadyExists { table: TenantOwner::table().name });
        }
        let mut tx = FencedTx::new(tx, ownership);
        tx.insert(&founding.tenant).await?;
        tx.insert(&founding.owner).await?;
        tx.list_address(&founding.owner.email, founding.owner.user_id).await?;
        Ok(Some(tx))
    }
}

/// The sign-up with this token, if it has not expired.
fn alive(token_hash: Digest32, now: Timestamp) -> Filter<Signup> {
    Signup::token_hash.eq(token_hash).and(Signup::expires_at.gt(now))
}
