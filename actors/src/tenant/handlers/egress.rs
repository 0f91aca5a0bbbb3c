//! Egress policies: the tenant's, and what narrows it for one container.

use data_encoding::HEXLOWER;
use ocmt_store::{
    Filter,
    tables::{Container, EgressPolicyRow},
};

use super::versioned::{self, Versioned};
use crate::{
    api::egress::{GetEgressPolicy, MOST_PORTS, MOST_RULES, Policy, PolicySet, PutEgressPolicy},
    audit::sha256,
    authorize::{Action, Object},
    error::ActorError,
    host::egress::policy,
    tenant::container,
    work::{Handle, Work},
};

/// Most bytes of a day that can be said.
const MOST_BYTES: u64 = 1 << 40;
const LONGEST_DETAIL: usize = 500;
/// Of a record; the frame adds some.
const MOST_DETAILS: usize = 13;

impl Versioned for EgressPolicyRow {
    const NAME: &'static str = "egress policy";

    fn version(&self) -> i64 {
        self.version
    }

    fn is_version(version: i64) -> Filter<Self> {
        Self::version.eq(version)
    }
}

impl Handle for GetEgressPolicy {
    async fn handle(self, work: &mut Work) -> Result<PolicySet, ActorError> {
        match self.container {
            Some(id) => drop(container::load(work, Action::ReadContainer, id).await?),
            None => work.authorize(Action::ReadTenant, &Object::TENANT)?,
        }
        let row = work.tx.get::<EgressPolicyRow>(EgressPolicyRow::subject_of(self.container)).await?;
        let Some(row) = row else { return Ok(PolicySet { policy: Policy::default(), version: 0 }) };
        let damaged = || ActorError::unavailable("STORE_DAMAGED", "the stored egress policy cannot be read");
        Ok(PolicySet { policy: policy(&row).ok_or_else(damaged)?, version: row.version })
    }
}

impl Handle for PutEgressPolicy {
    async fn handle(self, work: &mut Work) -> Result<PolicySet, ActorError> {
        // a container's own as well: whoever was narrowed does not widen it again
        work.authorize(Action::ChangePolicy, &Object::TENANT)?;
        check(&self.policy)?;
        if let Some(id) = self.container {
            work.tx.get::<Container>(id).await?.ok_or(ActorError::NotFound)?;
        }
        let subject = EgressPolicyRow::subject_of(self.container);
        let before = versioned::seen::<EgressPolicyRow>(work, subject.clone(), self.expected_version).await?;
        // who was let out elsewhere may be let out less from here too
        let had_rules = before.as_ref().and_then(policy).is_some_and(|before| !before.rules.is_empty());
        if work.env.runtime.outlet().is_none() && !self.policy.rules.is_empty() && !had_rules {
            return Err(ActorError::precondition(
                "EGRESS_OFF",
                "the operator of this node lets no container out (egress.open)",
            ));
        }
        let encoded = serde_json::to_vec(&self.policy)
            .map_err(|error| ActorError::invalid("policy", error.to_string()))?;
        let row = EgressPolicyRow {
            tenant_id: work.ownership.tenant,
            subject,
            policy: encoded,
            version: self.expected_version + 1,
            updated_at: work.now,
        };
        versioned::replace(work, before, &row).await?;
        work.object = self.container.map_or_else(
            || format!("tenant/{}", row.tenant_id),
            |container| format!("container/{container}"),
        );
        work.details = details(&self.policy, &row.policy);
        Ok(PolicySet { policy: self.policy, version: row.version })
    }
}

fn check(policy: &Policy) -> Result<(), ActorError> {
    let wrong = |why: &str| Err(ActorError::invalid("policy", why.to_owned()));
    if policy.rules.len() > MOST_RULES {
        return wrong("has more than 256 rules");
    }
    if policy.rules.iter().any(|rule| rule.ports.is_empty() || rule.ports.len() > MOST_PORTS) {
        return wrong("a rule names 1 to 16 ports");
    }
    if policy.rules.iter().any(|rule| rule.ports.contains(&0)) {
        return wrong("port 0 is none");
    }
    if policy.max_bytes_per_day > MOST_BYTES {
        return wrong("more than 2^40 bytes of a day");
    }
    Ok(())
}

/// What the audit says of it: the rules as far as they fit, and a hash of all of them.
fn details(policy: &Policy, encoded: &[u8]) -> Vec<(String, String)> {
    let mut details = vec![
        ("rules".to_owned(), policy.rules.len().to_string()),
        ("sha256".to_owned(), HEXLOWER.encode(&sha256(encoded).0)),
        ("max_bytes_per_day".to_owned(), policy.max_bytes_per_day.to_string()),
    ];
    let mut line = String::new();
    for rule in policy.rules.iter().map(|rule| format!("{} {:?}", rule.host, rule.ports)) {
        if !line.is_empty() && line.len() + rule.len() + 2 > LONGEST_DETAIL {
            details.push(("allowed".to_owned(), std::mem::take(&mut line)));
        }
        line = if line.is_empty() { rule } else { format!("{line}, {rule}") };
    }
    details.push(("allowed".to_owned(), line));
    details.truncate(MOST_DETAILS);
    details
}
