//! Who may use whom: the folder tree is the architecture, and this table is its law.

use crate::Finding;

/// A crate of ours and what it may use of ours (docs/architecture.md).
const LAYERS: [(&str, &[&str]); 10] = [
    ("ocmt-types", &[]),
    ("ocmt-proto", &[]),
    ("ocmt-crypto", &["ocmt-types"]),
    // crypto is pure: the store chains audit records in its own transaction (docs/adr/0005)
    ("ocmt-store", &["ocmt-crypto", "ocmt-types"]),
    ("ocmt-runtime", &["ocmt-types"]),
    ("ocmt-cluster", &["ocmt-store", "ocmt-proto", "ocmt-types"]),
    ("ocmt-actors", &["ocmt-store", "ocmt-runtime", "ocmt-crypto", "ocmt-types"]),
    ("ocmt-client", &["ocmt-proto", "ocmt-crypto", "ocmt-types"]),
    ("ocmt-cell", &["ocmt-proto", "ocmt-crypto", "ocmt-types"]),
    (
        "ocmt",
        &[
            "ocmt-actors",
            "ocmt-cluster",
            "ocmt-store",
            "ocmt-runtime",
            "ocmt-client",
            "ocmt-cell",
            "ocmt-proto",
            "ocmt-crypto",
            "ocmt-types",
        ],
    ),
];

/// Crates that only tests use; they may use everything.
const FOR_TESTS: [&str; 6] =
    ["ocmt-testkit", "ocmt-e2e", "ocmt-cluster-tests", "ocmt-model", "ocmt-sim", "ocmt-tidy"];

/// Crates of others that a layer must not know: `actors` knows no HTTP and no protobuf, `cluster` no actor, and
/// the cryptography does no I/O.
const STRANGERS: [(&str, &[&str]); 3] = [
    ("ocmt-actors", &["tonic", "prost", "axum", "hyper", "http", "tokio-tungstenite", "bollard"]),
    ("ocmt-cluster", &["ractor", "bollard"]),
    ("ocmt-crypto", &["tokio", "hyper", "tonic", "sqlx", "tracing", "rustix"]),
];

/// One line of a manifest.
#[derive(Debug, Clone)]
pub struct Edge {
    /// The crate whose manifest it is.
    pub user: String,
    /// The crate it names.
    pub used: String,
    /// Whether it is a dev-dependency: only that crate's tests see it.
    pub dev: bool,
}

/// Whether only tests use this crate of ours.
pub(crate) fn is_for_tests(user: &str) -> bool {
    FOR_TESTS.contains(&user)
}

/// Every edge that the table does not allow.
pub fn check(edges: &[Edge]) -> Vec<Finding> {
    edges.iter().filter_map(forbidden).map(|(user, why)| Finding::at(user, 0, why)).collect()
}

fn forbidden(edge: &Edge) -> Option<(&str, String)> {
    let Edge { user, used, dev } = edge;
    if is_for_tests(user) {
        return None;
    }
    if !used.starts_with("ocmt") {
        let stranger = STRANGERS.iter().any(|(layer, names)| layer == user && names.contains(&used.as_str()));
        return (stranger && !dev).then(|| (user.as_str(), format!("this layer must not know {used}")));
    }
    let Some((_, allowed)) = LAYERS.iter().find(|(layer, _)| layer == user) else {
        return Some((user, "a crate that the table of layers does not name".to_owned()));
    };
    // a crate's own tests may turn on features of that crate
    let for_tests = *dev && (used == "ocmt-testkit" || used == user);
    let lawful = for_tests || allowed.contains(&used.as_str());
    (!lawful).then(|| (user.as_str(), format!("must not use {used}: see the table of layers")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(user: &str, used: &str, dev: bool) -> usize {
        check(&[Edge { user: user.to_owned(), used: used.to_owned(), dev }]).len()
    }

    #[test]
    fn edges_along_the_layers_pass() {
        assert_eq!(findings("ocmt", "ocmt-actors", false), 0);
        assert_eq!(findings("ocmt-actors", "ocmt-store", false), 0);
        assert_eq!(findings("ocmt-store", "ocmt-testkit", true), 0);
        assert_eq!(findings("ocmt-store", "ocmt-store", true), 0);
        assert_eq!(findings("ocmt-testkit", "ocmt-client", false), 0);
        assert_eq!(findings("ocmt-actors", "serde", false), 0);
    }

    #[test]
    fn edges_against_the_layers_are_found() {
        assert_eq!(findings("ocmt-actors", "ocmt-proto", false), 1);
        assert_eq!(findings("ocmt-actors", "ocmt-proto", true), 1);
        assert_eq!(findings("ocmt-cluster", "ocmt-actors", false), 1);
        assert_eq!(findings("ocmt-types", "ocmt-crypto", false), 1);
        assert_eq!(findings("ocmt-store", "ocmt-testkit", false), 1);
        assert_eq!(findings("ocmt-stray", "ocmt-types", false), 1);
        assert_eq!(findings("ocmt-actors", "tonic", false), 1);
        assert_eq!(findings("ocmt-crypto", "tokio", false), 1);
    }
}
