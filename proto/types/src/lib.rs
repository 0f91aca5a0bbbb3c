//! What every crate of OCMT agrees on and that is not wire format: typed ids, epochs, time, secrets.
//!
//! Nothing here does I/O or knows another crate of ours.

pub mod clock;
pub mod id;
pub mod ownership;
pub mod secret;

pub use clock::{Clock, Deadline, ManualClock, Millis, SystemClock, Timestamp};
pub use id::*;
pub use ownership::{Epoch, Incarnation, Ownership};
pub use secret::Secret;
