//! What each kind of channel is sent.

use http::{
    Request,
    header::{CONTENT_TYPE, USER_AGENT},
};
use ocmt_actors::api::{
    alert::{Alert, AlertKind, AlertTarget},
    audit::AuditEntry,
};
use ocmt_types::{TenantId, Timestamp};
use serde_json::{Value, json};

use crate::{
    rpc::audit_export::jsonl,
    witness::{SIGNATURE, sign},
};

/// Longest text, in characters: Discord takes 2,000.
const LONGEST: usize = 1_800;

/// Whose audit an alert is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A tenant's.
    Tenant,
    /// The cluster's own; what stands in the tenant's place is its id.
    Cluster,
}

impl Source {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Cluster => "cluster",
        }
    }
}

/// The request that carries the alert; none if the target is no address.
pub(super) fn request(
    target: &AlertTarget,
    alert: &Alert,
    source: Source,
    now: Timestamp,
) -> Option<Request<Vec<u8>>> {
    let body = match target.kind {
        AlertKind::Slack => json!({ "text": escaped(&text(alert, source)) }),
        // nobody is called by what somebody else wrote
        AlertKind::Discord => json!({ "content": text(alert, source), "allowed_mentions": { "parse": [] } }),
        AlertKind::Pagerduty => pagerduty(target, alert, source)?,
        AlertKind::Webhook => webhook(alert, source),
        AlertKind::Email => return None,
    }
    .to_string();
    let mut request = Request::post(target.target.expose())
        .header(CONTENT_TYPE, "application/json")
        .header(USER_AGENT, "ocmt");
    if target.kind == AlertKind::Webhook {
        request = request.header(SIGNATURE, sign(target.secret.as_ref()?, &body, now));
    }
    request.body(body.into_bytes()).ok()
}

/// The request that carries records of an audit, each as a line of an export; none if the target is no address.
pub(super) fn records(
    target: &AlertTarget,
    tenant: TenantId,
    records: &[AuditEntry],
    now: Timestamp,
) -> Option<Request<Vec<u8>>> {
    let body: String = records.iter().map(|record| jsonl(tenant, record)).collect();
    Request::post(target.target.expose())
        .header(CONTENT_TYPE, "application/jsonl")
        .header(USER_AGENT, "ocmt")
        .header(SIGNATURE, sign(target.secret.as_ref()?, &body, now))
        .body(body.into_bytes())
        .ok()
}

/// One line, and one for each fact.
fn text(alert: &Alert, source: Source) -> String {
    let (severity, action, of) = (alert.severity.as_str(), one_line(&alert.action), source.as_str());
    let mut text = format!("[{severity}] {action} in {of} {}", alert.tenant);
    for (name, value) in &alert.facts {
        text += &format!("\n{}: {}", one_line(name), one_line(value));
    }
    text.chars().take(LONGEST).collect()
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Slack takes these three for its own marks.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Events v2.
fn pagerduty(target: &AlertTarget, alert: &Alert, source: Source) -> Option<Value> {
    Some(json!({
        "routing_key": target.secret.as_ref()?.expose(),
        "event_action": "trigger",
        // what is told again within its cooldown joins the incident that is open
        "dedup_key": format!("ocmt {} {}", alert.tenant, alert.action),
        "payload": {
            "summary": text(alert, source).lines().next().unwrap_or_default(),
            "source": format!("ocmt {} {}", source.as_str(), alert.tenant),
            "severity": alert.severity.as_str(),
            "timestamp": at(alert),
            "custom_details": facts(alert),
        },
    }))
}

fn webhook(alert: &Alert, source: Source) -> Value {
    json!({
        "id": alert.id.to_string(),
        source.as_str(): alert.tenant.to_string(),
        "action": alert.action,
        "severity": alert.severity.as_str(),
        "at": at(alert),
        "facts": facts(alert),
    })
}

fn facts(alert: &Alert) -> Value {
    Value::Object(
        alert.facts.iter().map(|(name, value)| (name.clone(), Value::String(value.clone()))).collect(),
    )
}

fn at(alert: &Alert) -> String {
    jiff::Timestamp::from_millisecond(alert.at.0).unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ocmt_actors::api::alert::Severity;
    use ocmt_types::{Id as _, NoticeId, Secret};

    use super::*;

    fn alert(value: &str) -> Alert {
        Alert {
            id: NoticeId::from_bytes([1; 16]),
            tenant: TenantId::from_bytes([2; 16]),
            action: "UserService/SetRole".to_owned(),
            severity: Severity::Warning,
            facts: vec![("on".to_owned(), value.to_owned())],
            at: Timestamp(1_800_000_000_000),
        }
    }

    fn sent(kind: AlertKind, alert: &Alert) -> (Request<Vec<u8>>, Value) {
        sent_of(kind, alert, Source::Tenant)
    }

    fn sent_of(kind: AlertKind, alert: &Alert, source: Source) -> (Request<Vec<u8>>, Value) {
        let target = Secret::new("https://hooks.example.org/x".to_owned());
        let target = AlertTarget { kind, target, secret: Some(Secret::new("k".repeat(32))) };
        let request = request(&target, alert, source, Timestamp(7)).unwrap();
        let body = serde_json::from_slice(request.body()).unwrap();
        (request, body)
    }

    #[test]
    fn what_somebody_wrote_calls_nobody_and_makes_no_lines() {
        let bad = alert("<!channel> & @everyone\nsecond");
        let (_, slack) = sent(AlertKind::Slack, &bad);
        let text = slack["text"].as_str().unwrap();
        assert!(text.contains("&lt;!channel&gt; &amp;") && !text.contains('<'), "{text}");
        assert_eq!(text.lines().count(), 2);
        let (_, discord) = sent(AlertKind::Discord, &bad);
        assert_eq!(discord["allowed_mentions"]["parse"], json!([]));
        let (_, long) = sent(AlertKind::Discord, &alert(&"x".repeat(5_000)));
        assert!(long["content"].as_str().unwrap().chars().count() <= 2_000);
    }

    #[test]
    fn an_event_of_pagerduty_has_what_its_interface_asks_for() {
        let (_, event) = sent(AlertKind::Pagerduty, &alert("user/1"));
        assert_eq!(
            (event["event_action"].as_str(), event["routing_key"].as_str()),
            (Some("trigger"), Some(&*"k".repeat(32)))
        );
        let payload = &event["payload"];
        assert_eq!(payload["severity"], "warning");
        assert!(payload["summary"].as_str().unwrap().contains("UserService/SetRole"));
        assert_eq!(
            (payload["timestamp"].as_str(), &payload["custom_details"]["on"]),
            (Some("2027-01-15T08:00:00Z"), &json!("user/1"))
        );
        assert!(payload["source"].is_string() && event["dedup_key"].as_str().unwrap().len() <= 255);
    }

    #[test]
    fn an_alert_of_the_cluster_is_no_tenants() {
        let alert = alert("node/1");
        let id = alert.tenant.to_string();
        let (_, webhook) = sent_of(AlertKind::Webhook, &alert, Source::Cluster);
        assert_eq!((&webhook["cluster"], &webhook["tenant"]), (&json!(id), &Value::Null));
        let (_, slack) = sent_of(AlertKind::Slack, &alert, Source::Cluster);
        assert!(slack["text"].as_str().unwrap().contains(&format!("in cluster {id}")));
        let (_, event) = sent_of(AlertKind::Pagerduty, &alert, Source::Cluster);
        assert_eq!(event["payload"]["source"], format!("ocmt cluster {id}"));
    }

    #[test]
    fn a_post_to_a_webhook_is_signed_with_its_time() {
        let (request, body) = sent(AlertKind::Webhook, &alert("user/1"));
        let signature = request.headers()[SIGNATURE].to_str().unwrap();
        let text = std::str::from_utf8(request.body()).unwrap();
        assert_eq!(signature, sign(&Secret::new("k".repeat(32)), text, Timestamp(7)));
        assert_ne!(signature, sign(&Secret::new("k".repeat(32)), text, Timestamp(8)));
        assert_ne!(signature, sign(&Secret::new("l".repeat(32)), text, Timestamp(7)));
        assert_eq!(body["id"], NoticeId::from_bytes([1; 16]).to_string());
        assert!(!text.contains("kkkk"), "the key stays here");
    }
}
