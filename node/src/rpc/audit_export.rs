//! The forms of an export: JSON lines, which can be verified; CSV for spreadsheets; syslog for collectors.

use data_encoding::BASE64;
use ocmt_actors::api::audit::{AuditEntry, AuditOutcome, CutBefore};
use ocmt_client::audit::tell;
use ocmt_crypto::audit::AuditRecord;
use ocmt_store::PRUNED_AT_ONCE;
use ocmt_types::{Digest32, TenantId};

/// Bytes of one piece of a file. A line may be longer than its share of it and stands alone then.
pub(super) const CHUNK: usize = 48 << 10;
const CSV_HEAD: &str = "sequence,at,actor,action,object,outcome,reason,request,details\r\n";
/// Facility 13 of RFC 5424: log audit.
const FACILITY: u8 = 13;
/// Name of our structured data, under the number that is kept for examples: we have none of our own.
const SD_ID: &str = "ocmt@32473";

/// Form of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Jsonl,
    Csv,
    Syslog,
}

/// What a file begins with.
pub(super) fn head(format: Format) -> Vec<u8> {
    match format {
        Format::Csv => CSV_HEAD.as_bytes().to_vec(),
        Format::Jsonl | Format::Syslog => Vec::new(),
    }
}

/// One record as one line.
pub(super) fn line(format: Format, tenant: TenantId, entry: &AuditEntry) -> Vec<u8> {
    let text = match format {
        Format::Jsonl => jsonl(tenant, entry),
        Format::Csv => csv(entry),
        Format::Syslog => syslog(tenant, entry),
    };
    text.into_bytes()
}

/// As a line of JSON, which can be verified.
pub(crate) fn jsonl(tenant: TenantId, entry: &AuditEntry) -> String {
    let seq = u64::try_from(entry.sequence).unwrap_or(0);
    let told = AuditRecord::from_bytes(&entry.canonical).ok().and_then(|record| {
        serde_json::to_string(&tell(seq, &record, &entry.canonical, &Digest32(entry.hash))).ok()
    });
    // what cannot be read stays in the file: leaving it out would hide which record is bad
    let told = told.unwrap_or_else(|| {
        serde_json::json!({ "tenant": tenant, "seq": seq, "unreadable": BASE64.encode(&entry.canonical) })
            .to_string()
    });
    told + "\n"
}

/// The hashes of 256 records that were pruned, as a line of JSON.
pub(super) fn leaves(tenant: TenantId, piece: i64, hashes: &[u8]) -> String {
    let before = piece * PRUNED_AT_ONCE;
    let pruned = serde_json::json!({
        "tenant": tenant,
        "from": before + 1,
        "to": before + PRUNED_AT_ONCE,
        "leaves": BASE64.encode(hashes),
    });
    serde_json::json!({ "pruned": pruned }).to_string() + "\n"
}

/// Who says that they were, as a line of JSON.
pub(super) fn cut(cut: &CutBefore) -> String {
    let certificates: Vec<_> = cut.certificates.iter().map(|der| BASE64.encode(der)).collect();
    serde_json::json!({ "cut": { "note": cut.note, "certificates": certificates } }).to_string() + "\n"
}

fn csv(entry: &AuditEntry) -> String {
    let details: Vec<_> = entry.details.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let fields = [
        entry.sequence.to_string(),
        at(entry),
        entry.actor.clone(),
        entry.method.clone(),
        entry.object.clone(),
        outcome(entry).to_owned(),
        reason(entry).to_owned(),
        entry.request.clone(),
        details.join("; "),
    ];
    fields.map(|field| cell(&field)).join(",") + "\r\n"
}

/// A cell that no spreadsheet takes for a formula (OWASP, "CSV injection"), quoted (RFC 4180).
fn cell(text: &str) -> String {
    let text = plain(text);
    let is_formula = text
        .trim_start()
        .starts_with(['=', '+', '-', '@', '|', '%', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}']);
    let guard = if is_formula { "'" } else { "" };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

fn syslog(tenant: TenantId, entry: &AuditEntry) -> String {
    let severity = match entry.outcome {
        AuditOutcome::Allowed => 6,
        AuditOutcome::Denied => 5,
        AuditOutcome::Failed => 4,
    };
    let message_id: String = entry.method.chars().filter(char::is_ascii_graphic).take(32).collect();
    let message_id = if message_id.is_empty() { "-".to_owned() } else { message_id };
    let mut data = String::new();
    let fields = [
        ("tenant", tenant.to_string()),
        ("seq", entry.sequence.to_string()),
        ("actor", entry.actor.clone()),
        ("action", entry.method.clone()),
        ("object", entry.object.clone()),
        ("outcome", outcome(entry).to_owned()),
        ("reason", reason(entry).to_owned()),
        ("request", entry.request.clone()),
    ];
    for (name, value) in fields {
        if !value.is_empty() {
            data += &format!(" {name}=\"{}\"", sd_value(&value));
        }
    }
    for (name, value) in &entry.details {
        data += &format!(" detail=\"{}\"", sd_value(&format!("{name}={value}")));
    }
    format!("<{}>1 {} - ocmt - {message_id} [{SD_ID}{data}]\n", FACILITY * 8 + severity, at(entry))
}

/// RFC 5424, section 6.3.3.
fn sd_value(text: &str) -> String {
    plain(text).replace('\\', "\\\\").replace('"', "\\\"").replace(']', "\\]")
}

/// One line: control characters would make two of it, or something else on a terminal.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c })
        .collect()
}

fn outcome(entry: &AuditEntry) -> &'static str {
    match entry.outcome {
        AuditOutcome::Allowed => "allowed",
        AuditOutcome::Denied => "denied",
        AuditOutcome::Failed => "failed",
    }
}

fn reason(entry: &AuditEntry) -> &str {
    if entry.outcome == AuditOutcome::Allowed { "" } else { &entry.result }
}

fn at(entry: &AuditEntry) -> String {
    let at = jiff::Timestamp::from_millisecond(entry.at.0).unwrap_or_default();
    format!("{at:.3}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ocmt_types::{Id as _, Timestamp};

    use super::*;

    fn entry(object: &str) -> AuditEntry {
        AuditEntry {
            sequence: 7,
            at: Timestamp(1_800_000_000_123),
            actor: "user/1".to_owned(),
            method: "VaultService/GetEntry".to_owned(),
            object: object.to_owned(),
            result: "NOT_FOUND".to_owned(),
            outcome: AuditOutcome::Denied,
            request: "r".to_owned(),
            details: vec![("name".to_owned(), "a\"]\\\n".to_owned())],
            canonical: vec![1, 2],
            hash: [3; 32],
        }
    }

    fn text(format: Format, entry: &AuditEntry) -> String {
        String::from_utf8(line(format, TenantId::from_bytes([1; 16]), entry)).unwrap()
    }

    #[test]
    fn no_cell_begins_a_formula_and_every_record_is_one_line() {
        for bad in [
            "=HYPERLINK(\"https://x\")",
            "+1",
            "-1",
            "@SUM(A1)",
            " =1",
            "\t=1",
            "\r=1",
            "|x",
            "\n=1\n",
            "\u{ff1d}1",
        ] {
            let line = text(Format::Csv, &entry(bad));
            assert_eq!(line.matches('\n').count(), 1, "{line}");
            let cell = line.split("\",\"").nth(4).unwrap();
            assert!(cell.starts_with('\''), "{cell}");
        }
        let line = text(Format::Csv, &entry("a\"b"));
        assert!(line.contains("\"a\"\"b\"") && line.ends_with("\r\n"), "{line}");
        assert_eq!(CSV_HEAD.split(',').count(), line.split("\",\"").count());
    }

    #[test]
    fn a_syslog_line_is_of_rfc_5424() {
        let line = text(Format::Syslog, &entry("vault/1"));
        assert_eq!(
            line,
            "<109>1 2027-01-15T08:00:00.123Z - ocmt - VaultService/GetEntry \
             [ocmt@32473 tenant=\"01010101-0101-0101-0101-010101010101\" seq=\"7\" actor=\"user/1\" \
             action=\"VaultService/GetEntry\" object=\"vault/1\" outcome=\"denied\" reason=\"NOT_FOUND\" \
             request=\"r\" detail=\"name=a\\\"\\]\\\\ \"]\n"
        );
    }

    #[test]
    fn a_record_that_cannot_be_read_stays_in_the_file() {
        let line = text(Format::Jsonl, &entry("vault/1"));
        assert!(line.contains("unreadable") && line.contains("\"seq\":7") && line.ends_with('\n'), "{line}");
    }
}
