//! Guardians: who holds which share of a vault's recovery key, and proof that they still do.
//!
//! The owner's client *deals* ([`deal`]): a fresh recovery key, shared once, one unit or more to each
//! guardian, and a signed *set* ([`GuardianSet`]) that says who holds how many, how many are needed,
//! the delays, and a commitment to each share. The platform stores nothing that opens a share. Every
//! change of guardians deals anew.

mod dealing;
mod delays;
mod drill;
mod set;
mod unit;

#[cfg(any(test, fuzzing))]
pub(crate) mod test_set;
#[cfg(test)]
mod tests;

pub use dealing::{Dealt, Plan, SealedUnits, Seat, deal};
pub use delays::Delays;
pub use drill::DrillChallenge;
pub use set::{Guardian, GuardianKeys, GuardianSet, UnitPublic};
pub use unit::{Unit, open_units};

/// The most units of a set, and so of guardians.
pub const MAX_UNITS: u8 = 20;
