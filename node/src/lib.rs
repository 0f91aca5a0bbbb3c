//! OCMT in one program: the node, the operator's tool and the user's client.
//!
//! | module | what |
//! |---|---|
//! | [`config`] | what an operator may set |
//! | [`server`] | a node put together, started and stopped |
//! | [`edge`], [`rpc`], [`gateway`], [`web`] | the client listener: credentials and errors, gRPC, WebSocket, pages |
//! | [`peers`], [`forward`] | other nodes: the peer listener and the links to theirs; calls for tenants that live there |
//! | [`database`], [`pki`], [`mail`], [`cells`], [`secret_file`] | what the actors ask of the world |
//! | [`cli`], [`demo`] | what people type |
//! | [`sso`] | tenants' own OpenID providers |
//! | [`software`] | which release this is |
//! | [`local`], [`canary`] | a node of one's own, and the search for leaks: for the demo and the tests |

pub mod alerts;
pub mod canary;
pub mod cells;
pub mod cli;
pub mod config;
pub mod database;
pub mod demo;
pub mod edge;
pub mod forward;
pub mod gateway;
mod held;
pub mod limits;
pub mod local;
pub mod mail;
pub mod meters;
mod neighbours;
pub mod oncall;
pub mod operator;
pub mod peers;
pub mod pki;
pub mod programs;
pub mod rpc;
pub mod secret_file;
pub mod security;
pub mod server;
mod shares;
mod snapshots;
pub mod software;
pub mod sso;
mod tasks;
pub mod telemetry;
pub mod tls;
pub mod web;
pub mod witness;
