//! `ocmt-cell`: what runs as PID 1 inside each container.
//!
//! It starts locked and undumpable, takes one start secret on standard input, shows a fresh key,
//! takes one sealed unlock payload, and starts the workload with the mapped secrets in the
//! *workload's* environment and nowhere else. It serves the sealed channel of the user's client,
//! reaps children, and wipes everything on lock. It never calls out: to other people's services its
//! host carries it, over calls that the host holds open ([`oauth::reach`]).
//!
//! From the outside in: [`cli`] and [`run`] put it together, [`service`] is the gRPC face for the
//! node, [`cell`] is the cell itself, [`state`] decides (pure), [`workload`] and [`children`] own
//! processes, [`channels`] carries the user's sealed streams, [`door`] and [`inbox`] take what the workload
//! makes for the user's vault, [`conversations`] what it says, [`sealed`] keeps its volume, [`oauth`] makes and keeps its connections to other people's services. [`archive`] is another cell
//! altogether: one that runs nothing, beside a container that sleeps.

pub mod activity;
pub mod archive;
pub mod auth;
pub mod cell;
pub mod channels;
pub mod children;
pub mod cli;
pub mod conversations;
pub mod door;
pub mod environment;
pub mod error;
pub mod guard;
pub mod inbox;
pub mod keys;
pub mod logs;
pub mod oauth;
pub mod opening;
pub mod policy;
pub mod redact;
pub mod run;
pub mod sealed;
pub mod service;
pub mod start_secret;
pub mod state;
pub mod tasks;
pub mod tree;
mod walk;
pub mod workload;

pub use error::CellError;
