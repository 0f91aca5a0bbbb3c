//! The wire contract of OCMT and its generated code: what every party agrees on.
//!
//! - [`v1`] (package `ocmt.v1`) is what clients, guardians' devices and operators speak, one `.proto`
//!   file a service; [`cell::v1`] is spoken between a node and the cell inside a container.
//! - Cryptographic objects travel as opaque `bytes`; the comment of each such field names its format
//!   in `docs/formats.md`, and `ocmt-crypto` reads and writes it. Nothing here opens anything.
//! - Field bounds stand in the `.proto` files as the option `(bounds)`. [`bounds`] checks an encoded
//!   request against them, and [`codec`] does so for every method of every generated server before
//!   the request is decoded: a handler never sees a value out of bounds.
//! - [`methods`] lists every method, for tests and layers that must not miss one.
//! - Fields that carry secrets are marked `debug_redact`; the `Debug` of a message that holds one shows
//!   no field at all.
//!
//! The tenant of a call comes from its session, never from a field.

pub mod bounds;
pub mod codec;
pub mod methods;

/// Package `ocmt.v1`.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, reason = "generated")]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::cast_possible_truncation, reason = "generated")]
pub mod v1 {
    tonic::include_proto!("ocmt.v1");
}

/// Between a node and the cell inside a container.
pub mod cell {
    /// Package `ocmt.cell.v1`.
    #[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, reason = "generated")]
    #[allow(clippy::unwrap_used, clippy::expect_used, clippy::cast_possible_truncation, reason = "generated")]
    pub mod v1 {
        tonic::include_proto!("ocmt.cell.v1");
    }
}

/// `Debug` of the messages that carry secrets.
mod redacted {
    include!(concat!(env!("OUT_DIR"), "/redacted.rs"));
}

/// The whole contract as an encoded `google.protobuf.FileDescriptorSet`, options kept, comments left
/// out: for server reflection and for clients in other languages.
pub const DESCRIPTOR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor.bin"));
