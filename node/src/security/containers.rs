//! Running containers against the profile, as the engine shows them.

use ocmt_runtime::docker::{Engine, look};
use ocmt_types::NodeId;

use super::{Finding, Report, Severity, runs_docker};
use crate::{config::Config, server::bounds};

const CHANGED: (&str, Severity, &str, &str) = (
    "containers.profile",
    Severity::Critical,
    "somebody changed it, or made it beside the node",
    "hold it and look: ocmt container hold",
);
const BEFORE: (&str, Severity, &str, &str) = (
    "containers.made_before",
    Severity::High,
    "it was made when containers.seccomp or containers.oci_runtime said otherwise, or somebody changed it beside the node",
    "remove it and make it anew; its volume stays: ocmt container rm, ocmt container create",
);

/// Asks the engine; changes nothing there.
pub async fn check(config: &Config, report: &mut Report) {
    if !runs_docker(config) {
        return report
            .could_not("containers", "the `process` runtime isolates nothing that could be checked");
    }
    match seen(config).await {
        Ok(seen) => {
            for what in seen.engine {
                report.push(Finding::new(
                    "containers.engine",
                    Severity::High,
                    config.containers.docker_host.clone(),
                    what,
                    "containers are held less tightly than the profile says",
                    "see docs/security/containers.md",
                ));
            }
            for (name, drifts) in seen.containers {
                for drift in drifts {
                    let what =
                        format!("{} is `{}` and should be `{}`", drift.item, drift.found, drift.expected);
                    // a container keeps the filter and runtime that it was made with
                    let made_before = ["Seccomp", "Runtime"].contains(&drift.item);
                    let (rule, severity, why, mend) = if made_before { BEFORE } else { CHANGED };
                    report.push(Finding::new(rule, severity, name.clone(), what, why, mend));
                }
            }
            report.looked_at("containers");
        }
        Err(why) => report.could_not("containers", why),
    }
}

async fn seen(config: &Config) -> Result<look::Seen, String> {
    let file = config.node.data_dir.join("pki/node.id");
    let id = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let node: NodeId = id.trim().parse().map_err(|_| format!("{} is no id", file.display()))?;
    let engine = Engine::at(&config.containers.docker_host).map_err(|error| error.to_string())?;
    let range =
        config.containers.network_range.parse().map_err(|_| "containers.network_range is none".to_owned())?;
    look::look(&engine, node, &bounds(config), range).await.map_err(|error| error.to_string())
}
