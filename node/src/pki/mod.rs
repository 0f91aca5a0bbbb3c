//! The keys and certificates of one node, in `pki/` of its data folder.
//!
//! | file | what | made by |
//! |---|---|---|
//! | `ca.pem` | the cluster's certificate authority: whom everybody believes | `cluster init`, or the first start of a node alone; `join` brings it |
//! | `ca.key` | its key | the same; on no other node |
//! | `node.id`, `node.key`, `node.pem` | the node's identity: an Ed25519 key whose certificate names the node, for peers, cell keys and release keys | `init`, first start, `join` |
//! | `node.next.*`, `node.introductions` | the node's next key on its way, and what earlier keys said of later ones | `cluster node-key rotate`, the node |
//! | `listener.key`, `listener.pem` | what the client and operator listeners show | the same |
//! | `sealing.keys` | generations of the key that wraps what the database must not be able to open | the same |
//! | `first-operator.pem` | the certificate of the first operator, for the node's next start to list | `cluster init`, `cluster operators first` |
//!
//! Private files have mode 0600 in a folder of mode 0700, are refused when others may read them, and are
//! replaced whole. Certificates are renewed by the running node when a third of their life is left (30 days for
//! nodes and listeners), without a restart: handshakes from then on take the new one.

mod authority;
mod exactly;
mod files;
mod identity;
mod joining;
mod listener;
mod next;
mod open;
mod operator;
mod request;
mod rotating;
mod sealing;
mod subject;
#[doc(hidden)]
pub mod testing;
#[cfg(test)]
mod tests;
mod tls;
mod verify;

use std::path::{Path, PathBuf};

pub use authority::{Authority, CaCertificate, fingerprint};
pub(crate) use exactly::client_believing;
pub(crate) use files::read_private;
pub use files::{pem_of, private_dir, write_private, write_public};
pub use identity::{NodeIdentity, NodeKey};
pub use joining::{Admission, Joining, joining_client};
pub use listener::{JOIN_NAME, ListenerIdentity, ListenerKey, ServerNames, host_name};
pub use next::{NextKey, NextWanted, next_key, prepare_next};
pub(crate) use open::sealing_of;
pub use open::{Pki, Renewed, Wanting};
pub use operator::{OperatorFiles, OperatorKey, first_operator, first_operator_of, later_first_operator};
pub use request::Request;
pub use rotating::Rotating;
pub use sealing::{restore_sealing, save_sealing};
pub use subject::{Lifetime, Subject, node_of, operator_of, subject_of, verify_key_of};
pub(crate) use tls::{verifying_client, verifying_server};
pub use verify::RevokedNodes;
pub(crate) use verify::{Verifier, Wanted};

/// What went wrong with a key or certificate.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A file cannot be read or written.
    #[error("{path}{}: {source}", whose(.source))]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A private file is open to others.
    #[error(
        "{path} may be read by others (mode {mode:o}): chmod 600 it, and replace what is in it if somebody could have read it"
    )]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A backup of the sealing key does not open.
    #[error("the backup of the sealing key does not open: another passphrase, or a damaged file")]
    Backup,
    /// A file does not hold what its name says.
    #[error("{path} does not hold {what}")]
    Content {
        /// Which file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// The folder is of no cluster.
    #[error(
        "{folder} has no {what}: run `ocmt cluster init` for the first node of a cluster, `ocmt cluster join` for every other"
    )]
    NotOfACluster {
        /// Which folder.
        folder: PathBuf,
        /// What is not there.
        what: &'static str,
    },
    /// The node's sealing key is gone, and no other may take its place.
    #[error(
        "{0} has no sealing key: put it back with `ocmt cluster sealing-key restore`, or from another node's folder of this cluster (sealing.keys)"
    )]
    NoSealingKey(PathBuf),
    /// The folder has been set up before.
    #[error("{0} is set up already; a new cluster or node begins with an empty data folder")]
    SetUp(PathBuf),
    /// Only the node with the authority's key can do this.
    #[error(
        "the key of the cluster's authority is not on this node: ask the one where `ocmt cluster init` ran"
    )]
    NoAuthority,
    /// A certificate request is not taken.
    #[error("the certificate request is refused: {0}")]
    Request(&'static str),
    /// A certificate is not the one that is needed.
    #[error("{0}")]
    Subject(&'static str),
    /// A certificate could not be made.
    #[error("cannot make a certificate: {0}")]
    Issue(#[from] rcgen::Error),
    /// The TLS library refuses the certificate or key.
    #[error("cannot use the TLS certificate: {0}")]
    Tls(#[from] rustls::Error),
}

/// What a refusal by the file system nearly always comes from.
fn whose(source: &std::io::Error) -> &'static str {
    match source.kind() {
        std::io::ErrorKind::PermissionDenied => " (is another user's: run this as that one)",
        _ => "",
    }
}

impl PkiError {
    pub(crate) fn content(path: &Path, what: &'static str) -> Self {
        Self::Content { path: path.into(), what }
    }
}
