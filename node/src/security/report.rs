//! What was found, for people, for programs (JSON) and for those that gather findings (SARIF 2.1.0).

use serde::Serialize;
use serde_json::{Value, json};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Somebody gets in, or reads what is not theirs.
    Critical,
    /// One more mistake, and somebody does.
    High,
    /// Weaker than it has to be.
    Medium,
    /// Good to know.
    Low,
}

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable name, such as `files.mode`.
    pub rule: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// Where: a key of the configuration, a path, a container.
    pub place: String,
    /// What was found.
    pub what: String,
    /// Why it matters.
    pub why: &'static str,
    /// How to mend it.
    pub mend: String,
    /// Whether `--fix` does it.
    pub fixable: bool,
    /// Whether it is mended by another key or certificate in the place of one that has its age or was in other hands.
    pub needs_rotation: bool,
}

/// Something that could not be looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unchecked {
    /// Which check.
    pub check: &'static str,
    /// Why not.
    pub why: String,
}

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What is not as it should be, the worst first.
    pub findings: Vec<Finding>,
    /// What could not be looked at.
    pub unchecked: Vec<Unchecked>,
    /// What was looked at and is fine.
    pub passed: Vec<&'static str>,
}

impl Finding {
    /// A finding that a person has to mend.
    pub fn new(
        rule: &'static str,
        severity: Severity,
        place: impl Into<String>,
        what: impl Into<String>,
        why: &'static str,
        mend: impl Into<String>,
    ) -> Self {
        let (place, what, mend) = (place.into(), what.into(), mend.into());
        Self { rule, severity, place, what, why, mend, fixable: false, needs_rotation: false }
    }

    /// The same, and `--fix` mends it.
    #[must_use]
    pub fn fixable(self) -> Self {
        Self { fixable: true, ..self }
    }

    /// The same, and a new key or certificate mends it.
    #[must_use]
    pub fn rotation(self) -> Self {
        Self { needs_rotation: true, ..self }
    }
}

impl Report {
    /// Adds one.
    pub fn push(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// Adds several.
    pub fn extend(&mut self, findings: impl IntoIterator<Item = Finding>) {
        self.findings.extend(findings);
    }

    /// Says what could not be looked at.
    pub fn could_not(&mut self, check: &'static str, why: impl Into<String>) {
        self.unchecked.push(Unchecked { check, why: why.into() });
    }

    /// Says that something was looked at and is fine, unless there is a finding of it.
    pub fn looked_at(&mut self, rule: &'static str) {
        let unknown = self.unchecked.iter().any(|it| it.check == rule);
        if !unknown && !self.findings.iter().any(|finding| finding.rule.starts_with(rule)) {
            self.passed.push(rule);
        }
    }

    /// The worst first.
    pub fn sort(&mut self) {
        self.findings.sort_by(|a, b| (a.severity, a.rule, &a.place).cmp(&(b.severity, b.rule, &b.place)));
    }

    /// 0 clean, 1 findings, 2 something could not be looked at and nothing was found.
    pub fn exit_code(&self) -> u8 {
        match (self.findings.is_empty(), self.unchecked.is_empty()) {
            (false, _) => 1,
            (true, false) => 2,
            (true, true) => 0,
        }
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for it in &self.findings {
            let severity = format!("{:?}", it.severity).to_uppercase();
            let fix = if it.fixable { " (--fix does it)" } else { "" };
            text.push_str(&format!(
                "{severity:<8} {}: {}\n         {} [{}]\n         why:  {}\n         mend: {}{fix}\n",
                it.place,
                it.what,
                it.rule,
                severity.to_lowercase(),
                it.why,
                it.mend
            ));
        }
        for it in &self.unchecked {
            text.push_str(&format!("UNKNOWN  {}: {}\n", it.check, it.why));
        }
        let (found, unknown, passed) = (self.findings.len(), self.unchecked.len(), self.passed.len());
        text.push_str(&format!("{found} findings, {unknown} not checked, {passed} checks passed"));
        text
    }

    /// For programs that gather findings.
    pub fn sarif(&self) -> Value {
        let level = |severity| match severity {
            Severity::Critical | Severity::High => "error",
            Severity::Medium => "warning",
            Severity::Low => "note",
        };
        let mut rules: Vec<_> = self.findings.iter().collect();
        rules.sort_by_key(|finding| finding.rule);
        rules.dedup_by_key(|finding| finding.rule);
        let rules: Vec<_> =
            rules.iter().map(|it| json!({ "id": it.rule, "shortDescription": { "text": it.why } })).collect();
        let results: Vec<_> = self
            .findings
            .iter()
            .map(|it| {
                json!({
                    "ruleId": it.rule,
                    "level": level(it.severity),
                    "message": { "text": format!("{}: {} Mend: {}", it.place, it.what, it.mend) },
                    "locations": [{ "logicalLocations": [{ "fullyQualifiedName": it.place }] }],
                    "properties": { "needs_rotation": it.needs_rotation },
                })
            })
            .collect();
        let notes: Vec<_> = self
            .unchecked
            .iter()
            .map(|it| json!({ "level": "warning", "message": { "text": format!("{}: {}", it.check, it.why) } }))
            .collect();
        json!({
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [{
                "tool": { "driver": { "name": "ocmt security audit", "version": env!("CARGO_PKG_VERSION"), "rules": rules } },
                "invocations": [{
                    "executionSuccessful": self.unchecked.is_empty(),
                    "toolExecutionNotifications": notes,
                }],
                "results": results,
            }],
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The name of each rule that the code has.
    fn rules() -> BTreeSet<&'static str> {
        let containers = include_str!("containers.rs");
        let others = [
            include_str!("settings.rs"),
            include_str!("files.rs"),
            include_str!("certificates.rs"),
            include_str!("database.rs"),
            include_str!("live.rs"),
            include_str!("exposure.rs"),
        ];
        let heads =
            ["settings.", "files.", "certificates.", "keys.", "database.", "tenants.", "live.", "exposure."];
        let named = |word: &&str, heads: &[&str]| {
            word.chars().all(|c| c.is_ascii_lowercase() || c == '.' || c == '_')
                && heads.iter().any(|head| word.starts_with(head) && word.len() > head.len())
        };
        let mut rules: BTreeSet<_> =
            others.into_iter().flat_map(|code| code.split('"')).filter(|word| named(word, &heads)).collect();
        // only there: elsewhere it begins a key of the configuration
        rules.extend(containers.split('"').filter(|word| named(word, &["containers."])));
        // a name of a file begins alike
        rules.retain(|word| !word.ends_with(".rs"));
        assert!(rules.len() > 25, "{rules:?}");
        rules
    }

    #[test]
    fn every_rule_has_its_row_in_the_page() {
        let page = include_str!("../../../docs/security/security-audit.md");
        let missing: Vec<_> =
            rules().into_iter().filter(|rule| !page.contains(&format!("`{rule}`"))).collect();
        assert!(missing.is_empty(), "docs/security/security-audit.md says nothing of {missing:?}");
    }

    #[test]
    fn the_checklist_names_what_ticks_each_line() {
        let page = include_str!("../../../docs/security/hardening.md");
        let rules = rules();
        let mut named = BTreeSet::new();
        for line in page.lines().filter(|line| line.starts_with("| ☐ |")) {
            let ticked = line.split(" | ").nth(2).unwrap();
            let names: Vec<_> = ticked.split('`').skip(1).step_by(2).collect();
            assert!(!names.is_empty() || ticked == "by hand", "nothing ticks: {line}");
            named.extend(names);
        }
        let unknown: Vec<_> = named.difference(&rules).collect();
        assert!(
            unknown.is_empty(),
            "docs/security/hardening.md names checks that there are not: {unknown:?}"
        );
        let missing: Vec<_> = rules.difference(&named).collect();
        assert!(missing.is_empty(), "docs/security/hardening.md has no line for {missing:?}");
    }

    #[test]
    fn a_check_that_did_not_run_is_no_clean_report() {
        let mut report = Report::default();
        assert_eq!(report.exit_code(), 0);
        report.could_not("redis", "it does not answer");
        assert_eq!(report.exit_code(), 2);
        for rule in ["redis", "tls"] {
            report.looked_at(rule);
        }
        assert_eq!(report.passed, ["tls"]);
        report.push(Finding::new("x.y", Severity::Low, "here", "this", "that", "so"));
        assert_eq!(report.exit_code(), 1);
        let sarif = report.sarif();
        assert_eq!(sarif["runs"][0]["results"][0]["ruleId"], "x.y");
        assert_eq!(sarif["runs"][0]["results"][0]["properties"]["needs_rotation"], false);
        report.findings[0] = report.findings[0].clone().rotation();
        assert_eq!(report.sarif()["runs"][0]["results"][0]["properties"]["needs_rotation"], true);
        assert_eq!(serde_json::to_value(&report).unwrap()["findings"][0]["needs_rotation"], true);
        assert_eq!(sarif["runs"][0]["invocations"][0]["executionSuccessful"], false);
    }
}
