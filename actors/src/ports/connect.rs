//! What a cell is asked about connections of its workload, and how it reaches other people's services.

use ocmt_types::{AuthorizationId, Timestamp, UnlockId};
use serde::{Deserialize, Serialize};

use super::{CellCall, CellTarget};

/// A wish for a connection.
#[derive(Clone, Serialize, Deserialize)]
pub struct CellWish {
    /// Chosen by the owner.
    pub authorization: AuthorizationId,
    /// With whom.
    pub provider: String,
    /// For what.
    pub scopes: Vec<String>,
    /// Where the browser comes back to.
    pub redirect: String,
    /// What it comes back with.
    pub state: String,
    /// It is good until then.
    pub expires_at: Timestamp,
}

/// Where a cell sends its user's browser.
pub struct CellOffer {
    /// The address.
    pub url: String,
    /// The cell's MAC over it.
    pub proof: Vec<u8>,
    /// The unlock it was made in.
    pub unlock: UnlockId,
}

/// The connection whose tokens an item of the inbox holds, as the cell says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellConnection {
    /// With whom.
    pub provider: String,
    /// For what.
    pub scopes: Vec<String>,
}

/// The part of [`super::CellLink`] that is about connections.
pub trait CellConnections: Send + Sync {
    /// Makes a verifier and the address with its challenge.
    fn begin_authorization<'a>(&'a self, cell: &'a CellTarget, wish: CellWish) -> CellCall<'a, CellOffer>;
    /// Hands over what came back, sealed. Answers when the owner's store has the tokens, sealed.
    fn finish_authorization<'a>(
        &'a self,
        cell: &'a CellTarget,
        authorization: AuthorizationId,
        answer: Vec<u8>,
    ) -> CellCall<'a, ()>;
    /// Ends a connection, with `anyway` also if its provider cannot be told; whether it took that.
    fn disconnect<'a>(&'a self, cell: &'a CellTarget, provider: String, anyway: bool) -> CellCall<'a, bool>;
    /// Carries the cell to the providers that this node lets it reach, until it is dropped or the cell is lost.
    fn carry<'a>(&'a self, cell: &'a CellTarget) -> CellCall<'a, ()>;
}
