//! The keys and certificates of one node, in `pki/` of its data folder.
//!
//! | file | what |
//! |---|---|
//! | `ca.pem`, `ca.key` | the cluster's certificate authority; on the first node of `dev`, `demo` and single-node set-ups |
//! | `node.id`, `node.key`, `node.pem` | the node's identity: an Ed25519 key whose certificate names the node; it signs cell keys and release keys |
//! | `sealing.key` | wraps what the database must not be able to open: release keys of ceremonies |
//!
//! The client listener's certificate is issued by the authority at each start and kept in memory,
//! unless `[tls]` names another. Private files are made with mode 0600 in a folder of mode 0700, and refused when others may read them.

mod authority;
mod files;
mod identity;
mod sealing;
mod server;

use std::path::{Path, PathBuf};

pub use authority::Authority;
pub use files::{private_dir, write_public};
pub use identity::NodeIdentity;
pub use sealing::load_sealing_key;
pub use server::{ServerNames, tls_config};

/// What went wrong with a key or certificate file.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A private file is open to others.
    #[error(
        "{path} may be read by others (mode {mode:o}): chmod 600 it, and replace the key if somebody could have read it"
    )]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A file does not hold what its name says.
    #[error("{path} does not hold {what}")]
    Content {
        /// Which file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// A certificate could not be made.
    #[error("cannot make a certificate: {0}")]
    Issue(#[from] rcgen::Error),
    /// The TLS library refuses the certificate or key.
    #[error("cannot use the TLS certificate: {0}")]
    Tls(#[from] rustls::Error),
}

impl PkiError {
    pub(crate) fn content(path: &Path, what: &'static str) -> Self {
        Self::Content { path: path.into(), what }
    }
}
