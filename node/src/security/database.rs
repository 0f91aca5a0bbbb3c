//! What the database says: its schema, and what tenants have chosen. Nothing in it is changed.

use std::path::Path;

use ocmt_store::{Glance, Store, StoreError};
use serde_json::Value;

use super::{Finding, Report, Severity};
use crate::{
    config::{Config, StorePlace},
    database,
};

/// Tenants of one page.
const PAGE: u32 = 200;

/// Looks at the schema and at each tenant's policy.
pub async fn check(config: &Config, report: &mut Report) {
    let looked = match config.store.place() {
        Some(StorePlace::Postgres(url)) => shared(config, &url, report).await,
        Some(StorePlace::Sqlite(folder)) => own(&folder, report).await,
        None => own(&config.node.data_dir.join("db"), report).await,
    };
    if let Err(why) = looked {
        return report.could_not("database", why);
    }
    report.looked_at("database");
    report.looked_at("tenants");
}

/// PostgreSQL, which opens no schema that this version cannot work on, and alters none.
async fn shared(config: &Config, url: &str, report: &mut Report) -> Result<(), String> {
    let logins = database::postgres(&config.store, url).map_err(|error| error.to_string())?;
    let store = Store::postgres(&logins).await.map_err(|error| error.to_string())?;
    let looked = tenants(&store, report).await.map_err(|error| error.to_string());
    store.close().await;
    looked
}

async fn tenants(store: &Store, report: &mut Report) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let page = store.operators().tenants(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.tenant_id);
        for tenant in &page {
            report.extend(policy(&format!("tenant {}", tenant.tenant_id), &tenant.policy));
        }
    }
}

/// SQLite.
async fn own(folder: &Path, report: &mut Report) -> Result<(), String> {
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
    for (tenant, stored) in glance.policies {
        report.extend(policy(&format!("tenant {tenant}"), &stored));
    }
    Ok(())
}

/// What a tenant's policy opens. One that was never set has the defaults, which open nothing.
fn policy(place: &str, stored: &[u8]) -> Vec<Finding> {
    let Ok(policy) = serde_json::from_slice::<Value>(stored) else { return Vec::new() };
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
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_that_is_open_to_strangers_is_found() {
        let rules =
            |text: &str| policy("tenant x", text.as_bytes()).iter().map(|it| it.rule).collect::<Vec<_>>();
        assert_eq!(rules("{\"dm_policy\":\"open\"}"), ["tenants.dm_policy"]);
        assert_eq!(rules("{\"group_policy\":\"open\",\"dm_policy\":\"pairing\"}"), ["tenants.group_policy"]);
        assert!(rules("{}").is_empty() && rules("").is_empty());
    }
}
