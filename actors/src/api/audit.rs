//! The audit trail of a tenant.

use ocmt_types::{Timestamp, UserId};

use crate::{audit::BY_KEY, call::calls};

/// A page of records in the order they were written.
#[derive(Debug, Clone, Default)]
pub struct QueryAudit {
    /// Only records behind this number.
    pub after: Option<i64>,
    /// 1 to 500; 0 means 100.
    pub limit: u32,
    /// Only this method, such as `VaultService/PutEntry`.
    pub method: Option<String>,
    /// Only what this user did. Without it the whole tenant's trail is asked for (admins).
    pub user: Option<UserId>,
}

/// One record, with what proves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its number in the tenant, from 1 without a gap.
    pub sequence: i64,
    /// When.
    pub at: Timestamp,
    /// Who, as the store writes it (`user/…`, `container/…`, `anonymous`, `node/…`).
    pub actor: String,
    /// Service and method.
    pub method: String,
    /// What it was done to.
    pub object: String,
    /// `OK` or the reason of the refusal.
    pub result: String,
    /// More, as names and values.
    pub details: Vec<(String, String)>,
    /// Canonical bytes of the record (`ocmt_crypto::audit`).
    pub canonical: Vec<u8>,
    /// Hash of the chain up to and with this record.
    pub hash: [u8; 32],
}

impl AuditEntry {
    /// The API key by which a program of the user asked, if one did.
    pub fn by_key(&self) -> Option<&str> {
        let detail = self.details.iter().find(|(name, _)| name == BY_KEY);
        detail.map(|(_, key)| key.as_str())
    }
}

/// Answer of [`QueryAudit`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditPage {
    /// Records.
    pub records: Vec<AuditEntry>,
    /// Give it as `after` for the next page; none at the end.
    pub next: Option<i64>,
}

calls! {
    /// Calls about the audit trail.
    Audit: AuditCall of "AuditService" {
        read QueryAudit => AuditPage,
    }
}
