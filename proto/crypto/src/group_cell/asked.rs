//! What whoever holds a part checks before they seal it to a cell: the requester's device does the same.

use std::time::Duration;

use ocmt_types::{GroupId, NodeId, Timestamp};

use crate::{
    CryptoError, Result,
    cell::{CellKeyStatement, ExpectedCell, MAX_OFFER_MS},
    ceremony::{Ceremony, Purpose},
    sign::VerifyKey,
    vault::Seen,
};

use super::{Appointment, Order};

/// An unlock into a cell, as a node shows it.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The ceremony that one is asked to approve.
    pub ceremony: &'a Ceremony,
    /// Its order.
    pub order: &'a [u8],
    /// The appointment that it names.
    pub appointment: &'a [u8],
    /// The statement of the cell's key.
    pub statement: &'a [u8],
    /// The group that one is an administrator of.
    pub group: GroupId,
    /// The vault's identity key, as one was told when one was admitted.
    pub identity: &'a VerifyKey,
    /// The node of the certificate that came with the statement, and its key; the certificate is proven.
    pub node: (NodeId, &'a VerifyKey),
}

impl Asked<'_> {
    /// That the key which parts are to be sealed to is the cell's that the vault has appointed, and what it will open is not
    /// older than what this device has seen.
    ///
    /// # Errors
    /// [`CryptoError::Refused`]; [`CryptoError::OutOfRange`] if it lasts longer than the appointment allows;
    /// [`CryptoError::RolledBack`] if it would take an older state than this device has seen.
    pub fn check(&self, seen: Option<&Seen>, now: Timestamp) -> Result<Appointment> {
        let Self { ceremony, .. } = self;
        let order = Order::decode(self.order)?;
        let appointment = Appointment::verify(self.appointment, self.identity)?;
        let bound = ceremony.purpose == Purpose::Cell
            && ceremony.nonce == order.nonce()
            && order.appointment == appointment.hash
            && order.seen.verify_key == appointment.verify_key
            && appointment.scope == ceremony.scope
            && appointment.group == self.group
            && appointment.node == self.node.0;
        if !bound {
            return Err(CryptoError::Refused);
        }
        // the cell holds the key for as long as the unlock may last; that it was its key is said of when it was asked
        let expected = ExpectedCell {
            tenant: appointment.scope.tenant,
            container: appointment.container,
            node: appointment.node,
            now: ceremony.opened_at,
        };
        let statement = CellKeyStatement::verify(self.statement, self.node.1, &expected)?;
        // asked for now: nobody approves today what was made for next year
        let ahead = ceremony.opened_at.since(now) > Duration::from_millis(MAX_OFFER_MS);
        let offered = statement.expires().since(ceremony.opened_at) <= Duration::from_millis(MAX_OFFER_MS);
        let over = ceremony.expires_at <= now;
        let used = statement.unlock().is_some() || *statement.key() != ceremony.requester;
        if used || ahead || over || !offered {
            return Err(CryptoError::Refused);
        }
        if ceremony.expires_at.since(ceremony.opened_at).as_millis() > u128::from(appointment.longest_ms) {
            let rule = "no longer than the appointment of the cell allows";
            return Err(CryptoError::OutOfRange { what: "unlock into a cell", rule });
        }
        match seen {
            Some(seen) if older(&order.seen, seen) => {
                Err(CryptoError::RolledBack { shown: order.seen.counter, seen: seen.counter })
            }
            _ => Ok(appointment),
        }
    }
}

/// Whether the cell would open a vault that is older than this device knows, or another one of the same counter.
fn older(asked: &Seen, seen: &Seen) -> bool {
    asked.counter < seen.counter
        || (asked.counter == seen.counter && asked.manifest_hash != seen.manifest_hash)
}
