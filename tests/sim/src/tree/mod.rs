//! The second world: every machine runs the whole actors' tree (`ocmt_actors::System`) beside the real
//! membership and router, on the sim store and an engine for containers in memory.
//!
//! Simulated are the network (turmoil; calls between machines in a framing of this crate, [`wire`]), the ways to
//! the database ([`link`]), to the engine ([`engine`]) and to its cells ([`cells`]), the mail, and time. Engines
//! and their containers outlive the process of their machine. People sign up, invite, sign in, write their
//! vaults and drive their containers through whichever node they meet ([`keeper`], [`runner`]).
//!
//! What is left to chance and not to the seed: the bytes of tokens and start secrets (`rand::rng` in the tree),
//! which decide nothing that shows, and are not in the trace.

mod ask;
mod cells;
mod client;
mod clock;
mod engine;
mod hands;
mod invariants;
mod keeper;
mod last;
mod ledger;
mod link;
mod machine;
mod mail;
mod neighbours;
mod node;
mod run;
mod runner;
mod seen;
mod watch;
mod wire;
mod world;

pub use run::run;
pub use seen::Seen;
