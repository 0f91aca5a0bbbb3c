//! What an operator may hold containers by beside the fixed profile: a filter of system calls with fewer of them than
//! Docker's, another runtime of the engine, and volumes with a size ([`super::sized`]).
//!
//! A container keeps what it was made with until it is made anew: a setting that changes stops nobody ([`super::held`]),
//! and [`super::drift`] names whoever has less than the node asks for today.

use bollard::models::{HostConfig, SystemInfo};
use serde_json::Value;

use super::profile::SECURITY_OPT;

/// How Docker writes a filter into the options of a container.
const FILTER: &str = "seccomp=";
/// Our filter as it is given to Docker, the newest first. Containers that were made under an earlier one still run: a
/// change is a new file, and the file before stays in this list.
const STRICT: [&str; 1] =
    [include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../node/deploy/seccomp/strict-1.json"))];

/// Which system calls there are in a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Seccomp {
    /// Those of Docker's own profile.
    #[default]
    Default,
    /// Those of ours.
    Strict,
}

/// What a node asks of the engine beside the profile.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Confinement {
    /// Which system calls.
    pub seccomp: Seccomp,
    /// Which of the engine's runtimes, by the name that the engine has for it; its default one if none.
    pub oci_runtime: Option<String>,
    /// The size of volumes that are made from now on; one without a bound if none.
    pub volume_bytes: Option<u64>,
}

impl Confinement {
    /// The options of a container.
    pub(super) fn security_opt(&self) -> Vec<String> {
        let filter = match self.seccomp {
            Seccomp::Default => None,
            Seccomp::Strict => STRICT.first().map(|profile| format!("{FILTER}{profile}")),
        };
        std::iter::once(SECURITY_OPT.to_owned()).chain(filter).collect()
    }

    /// What this engine lacks for it, in words for an operator.
    pub(super) fn lacking(&self, info: &SystemInfo) -> Option<String> {
        let wanted = self.oci_runtime.as_ref()?;
        let known = info.runtimes.iter().flatten().map(|(name, _)| name.as_str());
        let mut known: Vec<&str> = known.collect();
        known.sort_unstable();
        (!known.contains(&wanted.as_str())).then(|| {
            format!(
                "docker has no runtime `{wanted}` (containers.oci_runtime): it has {}. Add it to `runtimes` in Docker's daemon.json and restart Docker, or name one that is there",
                known.join(", ")
            )
        })
    }
}

/// The filter that a container was made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filter {
    /// Docker's own.
    Default,
    /// Ours.
    Strict,
    /// One of ours from before.
    Earlier,
    /// None, or somebody else's.
    Foreign,
}

impl Filter {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "docker's default",
            Self::Strict => "strict",
            Self::Earlier => "strict, of an earlier version",
            Self::Foreign => "not one of this node",
        }
    }

    /// Whether it lets through no more than `wanted` does.
    pub(super) const fn holds(self, wanted: Seccomp) -> bool {
        match wanted {
            Seccomp::Default => !matches!(self, Self::Foreign),
            Seccomp::Strict => matches!(self, Self::Strict),
        }
    }
}

/// The filter of a container, and its other options.
pub(super) fn options(host: &HostConfig) -> (Filter, String) {
    let (filters, others): (Vec<&String>, Vec<&String>) =
        host.security_opt.iter().flatten().partition(|option| option.starts_with(FILTER));
    let filter = match filters.as_slice() {
        [] => Filter::Default,
        [one] => which(one.strip_prefix(FILTER).unwrap_or_default()),
        _ => Filter::Foreign,
    };
    (filter, others.into_iter().map(String::as_str).collect::<Vec<_>>().join(" "))
}

/// By what it says and not by how it is written: an engine may print it in its own way.
fn which(profile: &str) -> Filter {
    let Ok(found) = serde_json::from_str::<Value>(profile) else { return Filter::Foreign };
    let ours = |text: &&str| serde_json::from_str::<Value>(text).is_ok_and(|ours| ours == found);
    match STRICT.iter().position(ours) {
        Some(0) => Filter::Strict,
        Some(_) => Filter::Earlier,
        None => Filter::Foreign,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn made_with(options: &[&str]) -> HostConfig {
        let security_opt = Some(options.iter().map(|option| (*option).to_owned()).collect());
        HostConfig { security_opt, ..HostConfig::default() }
    }

    #[test]
    fn a_filter_is_known_by_what_it_says() {
        let strict = Confinement { seccomp: Seccomp::Strict, ..Confinement::default() }.security_opt();
        let strict: Vec<&str> = strict.iter().map(String::as_str).collect();
        assert_eq!(options(&made_with(&strict)), (Filter::Strict, SECURITY_OPT.to_owned()));
        let spaced = strict[1].replace('\n', "  ");
        assert_eq!(options(&made_with(&[&spaced])).0, Filter::Strict);
        // one system call more, and it is another's
        let wider = strict[1].replacen("\"access\"", "\"access\", \"ptrace\"", 1);
        assert_ne!(wider, strict[1]);
        for foreign in
            [&[wider.as_str()][..], &["seccomp=unconfined"], &["seccomp="], &[strict[1], strict[1]]]
        {
            assert_eq!(options(&made_with(foreign)).0, Filter::Foreign, "{foreign:?}");
        }
        assert_eq!(options(&made_with(&[SECURITY_OPT])).0, Filter::Default);
        // as Docker wrote it once: it stays among the other options, where nothing but ours is taken
        assert_eq!(options(&made_with(&["seccomp:unconfined"])).1, "seccomp:unconfined");
    }

    #[test]
    fn whoever_has_more_than_is_asked_for_is_told() {
        assert!(Filter::Strict.holds(Seccomp::Strict) && Filter::Strict.holds(Seccomp::Default));
        assert!(Filter::Earlier.holds(Seccomp::Default) && !Filter::Earlier.holds(Seccomp::Strict));
        assert!(Filter::Default.holds(Seccomp::Default) && !Filter::Default.holds(Seccomp::Strict));
        assert!(!Filter::Foreign.holds(Seccomp::Default) && !Filter::Foreign.holds(Seccomp::Strict));
    }

    /// What the documents say that it denies is in none of its lists, and what makes a namespace is let through by no rule.
    #[test]
    fn the_filter_denies_what_the_documents_say() {
        let profile: Value = serde_json::from_str(STRICT[0]).unwrap();
        assert_eq!(profile["defaultAction"], "SCMP_ACT_ERRNO");
        let arches = profile["archMap"].as_array().unwrap();
        assert!(arches.iter().all(|arch| arch["subArchitectures"].as_array().unwrap().is_empty()));
        let rules = profile["syscalls"].as_array().unwrap();
        let allowed: Vec<&str> = rules
            .iter()
            .filter(|rule| rule["action"] == "SCMP_ACT_ALLOW" && rule["args"].is_null())
            .flat_map(|rule| rule["names"].as_array().unwrap())
            .map(|name| name.as_str().unwrap())
            .collect();
        let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/security/containers.md");
        let page = std::fs::read_to_string(page).unwrap();
        let (_, list) = page.split_once("### What `strict` denies").unwrap();
        let (list, _) = list.split_once("\n## ").unwrap();
        let named = list.lines().filter_map(|line| line.strip_prefix("| `")?.split('|').next());
        let denied: Vec<&str> =
            named.flat_map(|cell| cell.split('`')).map(|it| it.trim_matches([',', ' '])).collect();
        let denied: Vec<&str> = denied.into_iter().filter(|name| !name.is_empty()).collect();
        assert!(denied.len() > 30, "{denied:?}");
        for name in denied {
            assert!(!allowed.contains(&name), "{name} is let through, and the page says that it is not");
        }
        for narrowed in ["socket", "socketpair", "personality", "clone", "clone3"] {
            assert!(!allowed.contains(&narrowed), "{narrowed} is let through whatever it is asked");
        }
    }
}
