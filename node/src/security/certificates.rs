//! How long certificates are good, and how old keys are.

use std::{fs, path::Path, time::Duration};

use ocmt_types::Timestamp;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use x509_parser::parse_x509_certificate;

use super::{Finding, Report, Severity, is_of_a_cluster};
use crate::config::Config;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Of a certificate that people renew.
const SOON: u32 = 30;
/// Of the authority, which every client has to be told of anew.
const SOON_AUTHORITY: u32 = 180;
/// After which a key that is replaced by hand should have been.
const OLD: u32 = 365;
/// After which a node's next key should have been taken.
const WAITS: u32 = 7;

/// Looks at the certificates on the disk and at the age of the sealing keys.
pub fn check(config: &Config, now: Timestamp, report: &mut Report) {
    let folder = config.node.data_dir.join("pki");
    let given = &config.tls.certificate;
    if !given.as_os_str().is_empty() {
        certificate(given, "certificates.listener", SOON, now, report);
    }
    if !folder.is_dir() {
        report.could_not("certificates", format!("{} is not there: no node ran here", folder.display()));
        return;
    }
    certificate(&folder.join("ca.pem"), "certificates.authority", SOON_AUTHORITY, now, report);
    for name in ["node.pem", "listener.pem"] {
        let path = folder.join(name);
        if path.exists() {
            // the node renews it by itself when a third of its life is left
            certificate(&path, "certificates.node", 1, now, report);
        }
    }
    if is_of_a_cluster(config) {
        keys(&folder, now, report);
    }
    report.looked_at("certificates");
}

fn certificate(path: &Path, rule: &'static str, soon: u32, now: Timestamp, report: &mut Report) {
    let place = path.display().to_string();
    let ends = match ends_at(path) {
        Ok(ends) => ends,
        Err(why) => return report.could_not("certificates", format!("{place}: {why}")),
    };
    let (severity, what) = if ends <= now {
        (Severity::Critical, "has ended".to_owned())
    } else if ends.since(now) < DAY * soon {
        (Severity::Medium, format!("ends in {} days", ends.since(now).as_secs() / DAY.as_secs()))
    } else {
        return;
    };
    let why = "nobody connects to a node whose certificate has ended";
    let mend = match rule {
        "certificates.listener" => "put a new one in its place and restart the node",
        "certificates.authority" => "make a new cluster authority before it ends (docs/certificates.md)",
        _ => "the node renews it while it runs: see whether it reaches the node with the authority",
    };
    report.push(Finding::new(rule, severity, place, what, why, mend).rotation());
}

/// When the first certificate in a file ends.
///
/// # Errors
/// What is wrong with the file.
pub(crate) fn ends_at(path: &Path) -> Result<Timestamp, String> {
    let pem = fs::read(path).map_err(|error| error.to_string())?;
    let der = CertificateDer::from_pem_slice(&pem).map_err(|_| "is no PEM certificate".to_owned())?;
    let (_, certificate) = parse_x509_certificate(&der).map_err(|_| "is no certificate".to_owned())?;
    Ok(Timestamp(certificate.validity().not_after.timestamp().saturating_mul(1000)))
}

/// Keys that nothing but an operator's act replaces, by the time of the file. That of the sealing keys is written anew with
/// each generation, the node's two once: a renewal changes their certificates.
fn keys(folder: &Path, now: Timestamp, report: &mut Report) {
    let old = |name: &str| age(&folder.join(name), now).filter(|age| *age > DAY * OLD);
    let mut found = |name: &str, rule, age: Duration, why, mend| {
        let what = format!("is {} days old", age.as_secs() / DAY.as_secs());
        let place = folder.join(name).display().to_string();
        report.push(Finding::new(rule, Severity::Low, place, what, why, mend).rotation());
    };
    if let Some(age) = old("sealing.keys") {
        found(
            "sealing.keys",
            "keys.sealing",
            age,
            "what one key wraps grows, and with it what its loss would cost; the keys of gateway tokens are made of it",
            "make the next: ocmt cluster sealing-key rotate (docs/certificates.md)",
        );
    }
    if let Some(age) = old("node.key") {
        found(
            "node.key",
            "keys.node",
            age,
            "a renewal keeps the key: whoever ever copied it speaks as the node, and signs heads of audits as it",
            "make the next one, then start the node again: ocmt cluster node-key rotate (docs/certificates.md)",
        );
    }
    if let Some(age) = age(&folder.join("node.next.key"), now).filter(|age| *age > DAY * WAITS) {
        found(
            "node.next.key",
            "keys.node_next",
            age,
            "the key that was to be replaced is still the one in use",
            "start the node again; `ocmt cluster node-key show` says if the key has no certificate yet",
        );
    }
    // the node with the authority has this one for as long as the cluster
    if folder.join("ca.key").exists() {
        return;
    }
    if let Some(age) = old("listener.key") {
        found(
            "listener.key",
            "keys.node",
            age,
            "a renewal keeps the key: whoever ever copied it answers clients as the node",
            "let a new node join, then drain and revoke this one: ocmt cluster invite, drain, revoke (docs/cluster.md)",
        );
    }
}

/// How long ago the file was written; none if there is no such file.
fn age(path: &Path, now: Timestamp) -> Option<Duration> {
    let changed = fs::metadata(path).and_then(|it| it.modified()).ok()?;
    let at = changed.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(now.since(Timestamp(i64::try_from(at.as_millis()).unwrap_or(i64::MAX))))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ocmt_types::{Clock as _, SystemClock};

    use super::*;

    #[test]
    fn what_ends_soon_or_has_ended_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("listener.pem");
        let pair = rcgen::generate_simple_self_signed(vec!["node.example".to_owned()]).unwrap();
        fs::write(&path, pair.cert.pem()).unwrap();
        let ends = ends_at(&path).unwrap();
        let found = |now: Timestamp| {
            let mut report = Report::default();
            certificate(&path, "certificates.listener", SOON, now, &mut report);
            report.findings.first().map(|finding| finding.severity)
        };
        assert_eq!(found(SystemClock.now()), None);
        assert_eq!(found(ends - DAY * 29), Some(Severity::Medium));
        assert_eq!(found(ends - DAY * 31), None);
        assert_eq!(found(ends), Some(Severity::Critical));
    }

    fn rules_of(config: &Config, now: Timestamp) -> Vec<(&'static str, Severity)> {
        let mut report = Report::default();
        check(config, now, &mut report);
        report.findings.iter().map(|it| (it.rule, it.severity)).collect()
    }

    #[test]
    fn each_certificate_of_a_node_is_looked_at_and_so_is_the_age_of_its_sealing_key() {
        let folder = tempfile::tempdir().unwrap();
        let (mut config, pki) = (Config::default(), folder.path().join("pki"));
        config.node.data_dir = folder.path().to_owned();
        config.store.url = "postgres://u@localhost/d".to_owned();
        config.tls.certificate = folder.path().join("given.pem");
        fs::create_dir(&pki).unwrap();
        let now = SystemClock.now();
        let rules = |now: Timestamp| {
            let mut report = Report::default();
            check(&config, now, &mut report);
            (rules_of(&config, now), report.unchecked.len())
        };
        let pair = rcgen::generate_simple_self_signed(vec!["node.example".to_owned()]).unwrap();
        fs::write(&config.tls.certificate, pair.cert.pem()).unwrap();
        assert_eq!(rules(now), (Vec::new(), 1), "an authority that is not there is no good news");
        fs::write(pki.join("ca.pem"), pair.cert.pem()).unwrap();
        for name in ["node.pem", "listener.pem"] {
            fs::write(pki.join(name), pair.cert.pem()).unwrap();
        }
        fs::write(pki.join("sealing.keys"), "").unwrap();
        assert_eq!(rules(now), (Vec::new(), 0));
        let ends = ends_at(&config.tls.certificate).unwrap();
        // the authority long before the others: every client has to be told of the next
        fs::remove_file(pki.join("sealing.keys")).unwrap();
        assert_eq!(rules(ends - DAY * 179).0, [("certificates.authority", Severity::Medium)]);
        let critical = |rule| (rule, Severity::Critical);
        let all =
            ["certificates.listener", "certificates.authority", "certificates.node", "certificates.node"];
        assert_eq!(rules(ends).0, all.map(critical));
        let keys = fs::File::create(pki.join("sealing.keys")).unwrap();
        let old = Duration::from_millis(u64::try_from((now - DAY * 366).millis()).unwrap());
        keys.set_modified(std::time::UNIX_EPOCH + old).unwrap();
        assert_eq!(rules(now).0, [("keys.sealing", Severity::Low)]);
        // a renewal keeps the node's own keys; that they are old is found where they can be replaced
        for name in ["node.key", "listener.key", "ca.key"] {
            fs::File::create(pki.join(name)).unwrap().set_modified(std::time::UNIX_EPOCH + old).unwrap();
        }
        let low =
            |rules: &[&'static str]| rules.iter().map(|rule| (*rule, Severity::Low)).collect::<Vec<_>>();
        assert_eq!(rules(now).0, low(&["keys.sealing", "keys.node"]));
        fs::remove_file(pki.join("ca.key")).unwrap();
        assert_eq!(rules(now).0, low(&["keys.sealing", "keys.node", "keys.node"]));
        // a next key that nobody started the node for
        let next = fs::File::create(pki.join("node.next.key")).unwrap();
        assert_eq!(rules(now).0, low(&["keys.sealing", "keys.node", "keys.node"]));
        next.set_modified(std::time::UNIX_EPOCH + old).unwrap();
        assert_eq!(rules(now).0, low(&["keys.sealing", "keys.node", "keys.node_next", "keys.node"]));
        let mut report = Report::default();
        check(&config, now, &mut report);
        assert!(report.findings.iter().all(|finding| finding.needs_rotation), "{report:?}");
        config.store.url.clear();
        assert_eq!(rules_of(&config, now), Vec::new(), "no node beside it makes new ones");
    }
}
