//! What a witness that is a node says in the place of a head that it does not sign.

use data_encoding::BASE64;
use ocmt_crypto::merkle::log::Tree;
use ocmt_types::{TenantId, Timestamp};
use serde::{Deserialize, Serialize};

/// The head of an audit does not go on from the one that was handed out before. Not signed: it proves nothing, and says where to
/// look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Whose audit; the cluster's id for its own.
    pub tenant: TenantId,
    /// What does not fit.
    pub why: String,
    /// The head that was handed out last; none if there was none.
    pub had: Option<Seen>,
    /// The head that is there now; none if what is there is no head.
    pub has: Option<Seen>,
    /// When it was seen.
    pub at: Timestamp,
}

/// A head without its signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Records.
    pub size: u64,
    /// Root in base64.
    pub root: String,
}

impl From<&Tree> for Seen {
    fn from(tree: &Tree) -> Self {
        Self { size: tree.size, root: BASE64.encode(&tree.root.0) }
    }
}

impl Refusal {
    /// One line of a file of heads. Who reads heads alone passes it over.
    pub fn to_line(&self) -> String {
        // ids, numbers and texts always are JSON
        serde_json::to_string(&RefusedLine { refused: self.clone() }).unwrap_or_default()
    }

    /// Those in a file of heads.
    pub fn read(text: &str) -> Vec<Self> {
        let line = |line| serde_json::from_str::<RefusedLine>(line).ok();
        text.lines().filter_map(line).map(|line| line.refused).collect()
    }
}

#[derive(Serialize, Deserialize)]
struct RefusedLine {
    refused: Refusal,
}
