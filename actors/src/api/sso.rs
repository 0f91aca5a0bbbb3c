//! Sign-in at a tenant's own OpenID provider.

use ocmt_types::{Digest32, Secret, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use super::auth::{Device, SessionIssued};
use crate::call::calls;

/// The tenant's provider, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provider {
    /// Its issuer.
    pub issuer: String,
    /// What it calls this tenant.
    pub client_id: String,
    /// Whether there is a client's secret.
    pub has_secret: bool,
    /// Whether a verified address finds its account at the first sign-in.
    pub by_email: bool,
    /// When it was set.
    pub updated_at: Timestamp,
}

/// The tenant's provider, if it has one.
#[derive(Debug, Clone)]
pub struct GetOidcProvider;

/// Set the provider, whole.
pub struct SetOidcProvider {
    /// An `https` URL without query and fragment.
    pub issuer: String,
    /// 1 to 256 bytes.
    pub client_id: String,
    /// None for a public client.
    pub client_secret: Option<Secret<String>>,
    /// As in [`Provider::by_email`].
    pub by_email: bool,
}

/// No provider any more.
#[derive(Debug, Clone)]
pub struct RemoveOidcProvider;

/// A sign-in that was begun: what goes into the address that the browser is sent to.
pub struct SsoBegun {
    /// Where.
    pub issuer: String,
    /// As whom.
    pub client_id: String,
    /// `ocmt_lnk_…`, comes back with the browser.
    pub state: Secret<String>,
    /// Comes back in the provider's word.
    pub nonce: String,
    /// Of PKCE: its hash goes there, it stays here.
    pub verifier: Secret<String>,
}

/// What the code is redeemed with.
pub struct SsoTaken {
    /// Of which tenant.
    pub tenant: TenantId,
    /// Where.
    pub issuer: String,
    /// As whom.
    pub client_id: String,
    /// With which secret.
    pub client_secret: Option<Secret<String>>,
    /// What the provider's word has to hold.
    pub nonce: String,
    /// Of PKCE.
    pub verifier: Secret<String>,
}

/// What a provider has said, checked, about who signed in there.
#[derive(Debug, Clone)]
pub struct SsoPerson {
    /// Which provider.
    pub issuer: String,
    /// Who.
    pub subject: String,
    /// Their address, if the provider says that it has verified it.
    pub verified_email: Option<String>,
}

/// Of the lobby: begin.
pub(crate) struct BeginSso {
    pub(crate) binding_hash: Digest32,
}

/// Of the lobby: use a sign-in that was begun up.
pub(crate) struct TakeState {
    pub(crate) state_hash: Digest32,
    pub(crate) binding_hash: Digest32,
}

/// Of the lobby: a session for who the provider says it is.
pub(crate) struct FinishSso {
    pub(crate) person: SsoPerson,
    pub(crate) device: Device,
}

calls! {
    /// Calls about sign-in at a provider.
    Sso: SsoCall of "AuthService" {
        once BeginSso => SsoBegun,
        once TakeState => SsoTaken,
        once FinishSso => SessionIssued,
    }
}
