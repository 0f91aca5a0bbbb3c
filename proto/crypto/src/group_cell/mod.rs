//! A group's vault that several open together, opened into the cell of one container: no client has its key.
//!
//! ```text
//! vault      Appointment: "this container, on this host, may have these entries, for so long", signed by its own identity key
//! cell       a key for one ceremony, which its host states under its certificate
//! requester  Order: the appointment's hash and the oldest manifest that will do; its hash is the ceremony's nonce
//! all        Asked::check before anybody seals a part to the cell's key
//! cell       Handover::open: rebuilds the key, opens the vault, keeps the data keys of the appointed entries, drops the rest
//! ```
//!
//! The ceremony is that of an unlock, with a purpose of its own. Its hash covers the order, so the appointment and the manifest
//! too, and the cell's key. Whoever carries it can hand the cell another vault, of their own making, and nothing of this one.

mod appointment;
mod asked;
mod opening;
mod order;

#[cfg(test)]
mod test_world;
#[cfg(test)]
mod tests;

#[cfg(any(test, fuzzing))]
pub(crate) use appointment::PURPOSE as APPOINTMENT;
pub use appointment::{Appointment, LONGEST_MS, MAX_APPOINTED, MAX_APPOINTMENT, NewAppointment, SHORTEST_MS};
pub use asked::Asked;
pub use opening::{Handover, MAX_HANDOVER, Opened, unlock_id};
pub use order::{ORDER_LEN, Order};
