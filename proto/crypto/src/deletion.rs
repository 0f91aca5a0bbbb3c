//! What a deleted tenant leaves: a statement for people, signed by the node that erased it.
//!
//! ```text
//! OCMT deletion record v1
//! tenant: 5d1f6c1e-0000-4000-8000-000000000001
//! asked by: user:0b8c2a54-0000-4000-8000-000000000002
//! asked at: 1764400000000
//! erased at: 1765000000000
//! erased: users=3 vaults=3 containers=2 containers_left_to_their_hosts=0
//! last audit record: 41 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
//! ```
//!
//! Times are milliseconds since 1970-01-01T00:00:00Z. Each line ends with a line feed.

use std::fmt::Write as _;

use ocmt_types::{Digest32, TenantId, Timestamp};

use crate::sign::Purpose;

/// What the signature is for.
pub const PURPOSE: Purpose = Purpose::new("tenant deletion");

/// What is attested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletionRecord {
    /// Which tenant.
    pub tenant: TenantId,
    /// Who asked, as the audit names them.
    pub asked_by: String,
    /// When.
    pub asked_at: Timestamp,
    /// When its rows were gone.
    pub erased_at: Timestamp,
    /// How much there was, as `users=3 vaults=3`.
    pub erased: String,
    /// The last record of its audit: sequence and hash of the chain.
    pub audit_head: (i64, Digest32),
}

impl DeletionRecord {
    /// The statement that is signed.
    pub fn statement(&self) -> String {
        let mut text = String::from("OCMT deletion record v1\n");
        let (seq, hash) = &self.audit_head;
        let lines = [
            ("tenant", self.tenant.to_string()),
            ("asked by", line(&self.asked_by)),
            ("asked at", self.asked_at.millis().to_string()),
            ("erased at", self.erased_at.millis().to_string()),
            ("erased", line(&self.erased)),
            ("last audit record", format!("{seq} {hash}")),
        ];
        for (name, value) in lines {
            // writing to a string does not fail
            let _ = writeln!(text, "{name}: {value}");
        }
        text
    }
}

/// One line, whatever is in it: no name makes a line of its own.
fn line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ocmt_types::Id as _;

    use super::*;
    use crate::sign::SigningKey;

    fn record() -> DeletionRecord {
        DeletionRecord {
            tenant: TenantId::from_bytes([7; 16]),
            asked_by: "user:a\nlast audit record: 0 00".to_owned(),
            asked_at: Timestamp(1),
            erased_at: Timestamp(2),
            erased: "users=3 vaults=3".to_owned(),
            audit_head: (41, Digest32([0xab; 32])),
        }
    }

    #[test]
    fn a_record_has_its_lines_and_no_others() {
        let text = record().statement();
        let names: Vec<_> =
            text.lines().skip(1).filter_map(|line| line.split_once(": ")).map(|it| it.0).collect();
        assert_eq!(
            names,
            ["tenant", "asked by", "asked at", "erased at", "erased", "last audit record"],
            "{text}"
        );
        assert!(text.ends_with(&format!("last audit record: 41 {}\n", "ab".repeat(32))));
    }

    #[test]
    fn a_signature_holds_for_the_whole_statement_and_its_purpose() {
        let key = SigningKey::generate(&mut rand::rng());
        let signature = key.sign(PURPOSE, record().statement().as_bytes());
        let other = DeletionRecord { erased: "users=2 vaults=3".to_owned(), ..record() }.statement();
        let public = key.verify_key();
        public.verify(PURPOSE, record().statement().as_bytes(), &signature).unwrap();
        assert!(public.verify(PURPOSE, other.as_bytes(), &signature).is_err());
        assert!(
            public.verify(Purpose::new("manifest"), record().statement().as_bytes(), &signature).is_err()
        );
    }
}
