//! What the database says: its schema, and what tenants have chosen. Nothing in it is changed.

use std::path::Path;

use ocmt_store::{Glance, KeysDue, Store, StoreError};
use ocmt_types::Timestamp;
use serde_json::Value;

use super::{Finding, Report, Severity};
use crate::{
    config::{Config, StorePlace},
    database,
};

/// Tenants of one page.
const PAGE: u32 = 200;

/// Looks at the schema and at each tenant's policy.
pub async fn check(config: &Config, now: Timestamp, report: &mut Report) {
    let looked = match config.store.place() {
        Some(StorePlace::Postgres(url)) => shared(config, &url, now, report).await,
        Some(StorePlace::Sqlite(folder)) => own(&folder, now, report).await,
        None => own(&config.node.data_dir.join("db"), now, report).await,
    };
    if let Err(why) = looked {
        return report.could_not("database", why);
    }
    report.looked_at("database");
    report.looked_at("tenants");
}

/// PostgreSQL, which opens no schema that this version cannot work on, and alters none.
async fn shared(config: &Config, url: &str, now: Timestamp, report: &mut Report) -> Result<(), String> {
    let logins = database::postgres(&config.store, url).map_err(|error| error.to_string())?;
    let store = Store::postgres(&logins).await.map_err(|error| error.to_string())?;
    let looked = tenants(&store, now, report).await.map_err(|error| error.to_string());
    store.close().await;
    looked
}

async fn tenants(store: &Store, now: Timestamp, report: &mut Report) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let page = store.operators().tenants(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.tenant_id);
        for tenant in &page {
            // one that was erased meanwhile has chosen nothing
            let chosen = store.cluster().agent_policy(tenant.tenant_id, None).await?;
            let agents = chosen.and_then(|chosen| chosen.of_tenant).map(|row| row.policy);
            let place = format!("tenant {}", tenant.tenant_id);
            report.extend(policy(&place, &tenant.policy, agents.as_deref()));
            report.extend(rotation(&place, store.cluster().keys_due(tenant.tenant_id).await?, now));
        }
    }
}

/// SQLite.
async fn own(folder: &Path, now: Timestamp, report: &mut Report) -> Result<(), String> {
    if !folder.join("ocmt.db").is_file() {
        return Err(format!("there is no database in {}: no node ran here", folder.display()));
    }
    let glance = Glance::at(folder).await.map_err(|error| error.to_string())?;
    if glance.schema != glance.latest {
        report.push(Finding::new(
            "database.schema",
            Severity::Medium,
            folder.display().to_string(),
            format!("is at schema {}, and this program makes {}", glance.schema, glance.latest),
            "the program that runs is older than this one, or newer",
            "run the same version, or `ocmt migrate` with the node stopped",
        ));
    }
    for it in glance.policies {
        let place = format!("tenant {}", it.tenant);
        report.extend(policy(&place, &it.policy, it.agent_policy.as_deref()));
        report.extend(rotation(&place, it.keys_due, now));
    }
    Ok(())
}

/// What a tenant's policies open. One that was never set has the defaults, which open nothing.
fn policy(place: &str, stored: &[u8], agents: Option<&[u8]>) -> Vec<Finding> {
    let read = |text: &[u8]| serde_json::from_slice::<Value>(text).unwrap_or_default();
    let (policy, agents) = (read(stored), agents.map(read).unwrap_or_default());
    let mut found = Vec::new();
    let mut open = |key: &str, rule: &'static str, mend: &str| {
        if policy.get(key).and_then(Value::as_str) == Some("open") {
            found.push(Finding::new(
                rule,
                Severity::High,
                place,
                format!("its {key} is `open`"),
                "strangers talk to its agents, and what they say is what agents act on",
                mend,
            ));
        }
    };
    open("dm_policy", "tenants.dm_policy", "its owner: ocmt tenant policy --dm-policy pairing");
    open("group_policy", "tenants.group_policy", "its owner: ocmt tenant policy --group-policy allowlist");
    let outside = agents.get("sandbox_mode").and_then(Value::as_str).filter(|mode| *mode != "all");
    if let Some(mode) = outside {
        let severity = if mode == "off" { Severity::High } else { Severity::Medium };
        found.push(Finding::new(
            "tenants.sandbox",
            severity,
            place,
            format!("its sandbox.mode is `{}`", mode.replace('_', "-")),
            "what an agent is talked into reaches all that its container holds",
            "its owner, unless full access is needed: ocmt tenant agent-policy set --sandbox all",
        ));
    }
    // one that is neither talked to by strangers nor works outside a sandbox may choose
    let models = agents.get("allowed_models").and_then(Value::as_array).is_some_and(|list| !list.is_empty());
    if !found.is_empty() && !models {
        found.push(Finding::new(
            "tenants.models",
            Severity::Medium,
            place,
            "its agents may use any model",
            "models differ in how easily they are talked into something, and these can be",
            "its owner names those that withstand it best: ocmt tenant agent-policy set --allow-model NAME",
        ));
    }
    found
}

/// Vaults of groups whose keys somebody may have who takes part no more. Of a person's own vault no node knows whether its
/// keys are due.
fn rotation(place: &str, due: KeysDue, now: Timestamp) -> Option<Finding> {
    let since = due.since?;
    let what = format!(
        "vaults of its groups that are due for new keys: {}, the longest for {} days",
        due.vaults,
        now.since(since).as_secs() / 86_400
    );
    let why = "somebody who left, or who opened one for a time, may have kept its key: it opens what is written until then";
    let mend = "administrators of those groups: ocmt group vault status, ocmt group vault rotate";
    Some(Finding::new("tenants.rotation", Severity::Medium, place, what, why, mend).rotation())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vaults_of_groups_that_are_due_for_new_keys_are_counted() {
        let day = |n: i64| Timestamp(n * 86_400_000);
        let found = |due| rotation("tenant x", due, day(9));
        assert_eq!(found(KeysDue::default()), None);
        let one = found(KeysDue { vaults: 3, since: Some(day(2)) });
        let told =
            one.map(|it| (it.rule, it.needs_rotation, it.what.contains(": 3, the longest for 7 days")));
        assert_eq!(told, Some(("tenants.rotation", true, true)));
    }

    fn rules(text: &str, agents: Option<&str>) -> Vec<&'static str> {
        policy("tenant x", text.as_bytes(), agents.map(str::as_bytes)).iter().map(|it| it.rule).collect()
    }

    #[test]
    fn a_tenant_that_is_open_to_strangers_is_found() {
        let rules = |text: &str| rules(text, Some("{\"allowed_models\":[\"m\"]}"));
        assert_eq!(rules("{\"dm_policy\":\"open\"}"), ["tenants.dm_policy"]);
        assert_eq!(rules("{\"group_policy\":\"open\",\"dm_policy\":\"pairing\"}"), ["tenants.group_policy"]);
        assert!(rules("{}").is_empty() && rules("").is_empty());
    }

    #[test]
    fn work_outside_a_sandbox_and_any_model_where_that_matters_are_found() {
        let agents = |text: &str| rules("{}", Some(text));
        assert!(rules("{}", None).is_empty() && agents("{\"sandbox_mode\":\"all\"}").is_empty());
        for mode in ["off", "non_main"] {
            let text = format!("{{\"sandbox_mode\":\"{mode}\",\"allowed_models\":[\"m\"]}}");
            assert_eq!(agents(&text), ["tenants.sandbox"]);
        }
        assert_eq!(agents("{\"sandbox_mode\":\"off\"}"), ["tenants.sandbox", "tenants.models"]);
        assert_eq!(rules("{\"dm_policy\":\"open\"}", None), ["tenants.dm_policy", "tenants.models"]);
        let how_bad = |mode: &str| {
            let text = format!("{{\"sandbox_mode\":\"{mode}\"}}");
            policy("tenant x", b"{}", Some(text.as_bytes()))[0].severity
        };
        assert_eq!((how_bad("off"), how_bad("non_main")), (Severity::High, Severity::Medium));
    }
}
