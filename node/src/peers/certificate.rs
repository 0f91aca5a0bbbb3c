//! Which node a certificate names.

use ocmt_types::NodeId;
use rustls_pki_types::CertificateDer;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

/// The one node in the certificate's names (`ocmt:node:<id>` as URI). None for a certificate of another
/// kind, or one that names several.
pub fn node_of(leaf: &CertificateDer<'_>) -> Option<NodeId> {
    let (_, leaf) = X509Certificate::from_der(leaf).ok()?;
    let names = leaf.subject_alternative_name().ok().flatten()?;
    let mut ids = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => uri.strip_prefix("ocmt:node:"),
        _ => None,
    });
    match (ids.next(), ids.next()) {
        (Some(id), None) => id.parse().ok(),
        _ => None,
    }
}
