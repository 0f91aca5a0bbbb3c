//! What operators are told by themselves: records of the cluster's own audit, and conditions that nodes note there, at channels of the
//! configuration.
//!
//! | part | what |
//! |---|---|
//! | [`Noter`] | writes a condition into the cluster's audit, once for each time that it comes about |
//! | [`Conditions`] | what a node looks at |
//! | `rules` | which records are alerts, and how bad |
//! | `plan` | what a channel is told next: cooldown, counting, age |
//! | [`Teller`] | one node has a channel at a time, hands over, writes down how far it came |
//! | [`Channel`], [`Ways`] | where alerts go, and how |
//!
//! Why so: `docs/adr/0045`.

mod channel;
mod conditions;
mod noter;
mod plan;
mod rules;
mod teller;

pub use channel::{Carry, Channel, Ways, channels, trial};
pub use conditions::Conditions;
pub use noter::{Noter, condition};
pub use rules::{Wanted, severity};
pub use teller::Teller;
