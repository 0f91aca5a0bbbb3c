//! Ownership, model-checked: every order of steps of a few nodes, one tenant and one database, within bounds.
//!
//! The lease and the observer are the real ones (`ocmt_cluster::{LeaseState, Observer}`), driven by a clock of
//! whole ticks: a heartbeat is one tick, the strict time two, the TTL three. The first machine may be slow,
//! suspended or cut off at any point, which is to say that its steps do not come: while others act and time
//! goes on, nothing forces it to take a step, its answers may stay on their way, and its writes arrive when
//! they like, after its death too. The others renew once a tick, and look, judge, claim and write when they
//! like: that bounds the number of states.
//!
//! After the time of chaos comes the time of healing, in which every node takes every step in turn: at its
//! end the tenant is owned and served (bounded liveness: nobody is stuck).
//!
//! Broken variants ([`Variant`]) leave one thing out each, and the checker finds what that breaks.

mod database;
mod healing;
mod judgement;
mod machine;
mod world;

pub use database::Database;
pub use machine::Machine;
pub use world::{Scenario, Step, Variant, World};
