//! From a record to those who are told: in its transaction, so that no alert is lost and none tells of what was not done.
//!
//! Of one action a channel is told once in [`COOLDOWN`]; what happens meanwhile is counted, and told as a number at its end.
//! Which channels there are is kept in memory ([`Kept`]), since nearly every record is nobody's alert.

use std::{sync::Arc, time::Duration};

use ocmt_crypto::audit::{AuditRecord, Outcome};
use ocmt_store::{
    FencedTx, Filter, actor_text,
    tables::{AlertChannel, AlertGroup, AlertKind, Notice},
};
use ocmt_types::{AlertChannelId, Timestamp};

use super::{channels, rules, target};
use crate::{
    api::alert::{Alert, Severity},
    env::Env,
    error::ActorError,
    kept::Kept,
    ports::{Mail, MailBody},
    tenant::handlers::notices,
    work::Work,
};

/// Kinds of notices that are alerts begin so.
pub(crate) const KIND: &str = "alert.";
/// Timer that tells what was held back; its subject is the channel and the action.
pub(crate) const MORE: &str = "alert.more";
/// A channel is told of one action once in this.
pub(super) const COOLDOWN: Duration = Duration::from_secs(5 * 60);
/// Alerts that wait for one channel: past it they are counted and not told one by one.
pub(super) const MOST_WAITING: i64 = 64;
/// Longest value that is told.
const LONGEST: usize = 200;

/// The channels of tenants here, as rows have them.
pub(crate) type Channels = Kept<Arc<[AlertChannel]>>;

/// Raises what the record is an alert of; whether a timer was set for now.
pub(crate) async fn raise(
    tx: &mut FencedTx,
    env: &Env,
    record: &AuditRecord,
    now: Timestamp,
) -> Result<bool, ActorError> {
    let mut raised = false;
    for channel in channels(tx, env).await?.iter() {
        if let Some(severity) = wanted(channel, record, now) {
            raised |= tell(tx, env, channel, record, severity, now).await?;
        }
    }
    Ok(raised)
}

async fn channels(tx: &mut FencedTx, env: &Env) -> Result<Arc<[AlertChannel]>, ActorError> {
    let own = tx.ownership();
    if tx.has_written::<AlertChannel>() {
        env.alert_channels.forget(own.tenant);
    }
    let may_keep = own.incarnation == env.incarnation && !tx.has_written::<AlertChannel>();
    if let Some(kept) = env.alert_channels.kept(own).filter(|_| may_keep) {
        return Ok(kept);
    }
    let rows = tx.find::<AlertChannel>(Filter::all()).await?;
    // where they lead is read when something goes there
    let bare = |row| AlertChannel { wrapped: Vec::new(), name: String::new(), hint: String::new(), ..row };
    let rows: Arc<[AlertChannel]> = rows.into_iter().map(bare).collect();
    if may_keep {
        env.alert_channels.keep(own, Arc::clone(&rows));
    }
    Ok(rows)
}

/// How bad it is to the channel; none if it is not for it.
pub(super) fn wanted(channel: &AlertChannel, record: &AuditRecord, now: Timestamp) -> Option<Severity> {
    let known = rules::severity(record);
    // whatever it is for: nobody silences a channel unheard
    let always =
        rules::is_of_channels(record) || (channel.verified_at.is_some() && rules::is_of_recovery(record));
    if let Some(ends_at) = channel.ends_at {
        return known.filter(|_| always && ends_at > now);
    }
    if always {
        return known;
    }
    let actions: Vec<String> = channel.actions.split_whitespace().map(str::to_owned).collect();
    let severity = match actions.is_empty() {
        true => known?,
        false if rules::names(&actions, &record.action) => known.unwrap_or_default(),
        false => return None,
    };
    (rank(severity) >= channel.min_severity).then_some(severity)
}

pub(super) fn rank(severity: Severity) -> i64 {
    match severity {
        Severity::Info => 1,
        Severity::Warning => 2,
        Severity::Critical => 3,
    }
}

async fn tell(
    tx: &mut FencedTx,
    env: &Env,
    channel: &AlertChannel,
    record: &AuditRecord,
    severity: Severity,
    now: Timestamp,
) -> Result<bool, ActorError> {
    let key = (channel.channel_id, record.action.clone());
    let group = tx.get::<AlertGroup>(key).await?;
    let cools = group.as_ref().is_some_and(|group| now < group.told_at + COOLDOWN);
    // of a recovery every step is told: they are few
    let urgent = rules::is_of_recovery(record);
    if !urgent && (cools || is_full(tx, channel.channel_id).await?) {
        let group = group.unwrap_or_else(|| fresh(channel, &record.action, now));
        if group.held == 0 {
            let subject = format!("{} {}", channel.channel_id, record.action);
            let from = if cools { group.told_at } else { now };
            tx.set_timer(MORE, &subject, from + COOLDOWN, &[]).await?;
        }
        tx.upsert(&AlertGroup { held: group.held.saturating_add(1), ..group }).await?;
        return Ok(false);
    }
    let held = group.map_or(0, |group| group.held);
    tx.upsert(&fresh(channel, &record.action, now)).await?;
    let mut facts = vec![
        ("severity".to_owned(), severity.as_str().to_owned()),
        ("who".to_owned(), actor_text(record.actor)),
        ("outcome".to_owned(), outcome(record.outcome).to_owned()),
        ("request".to_owned(), record.request.to_string()),
    ];
    if !record.object.is_empty() {
        facts.push(("on".to_owned(), record.object.clone()));
    }
    facts.extend(record.details.iter().map(|(name, value)| (name.clone(), value.clone())));
    if held > 0 {
        facts.push(("more_before".to_owned(), held.to_string()));
    }
    write(tx, env, channel, &record.action, &facts, now).await?;
    Ok(true)
}

/// Whether as many wait for the channel as may.
async fn is_full(tx: &mut FencedTx, channel: AlertChannelId) -> Result<bool, ActorError> {
    let waiting = Notice::address.eq(channel.to_string());
    let waiting = waiting.and(Notice::next_attempt_at.gt(Some(Timestamp(0))));
    Ok(tx.count::<Notice>(waiting).await? >= MOST_WAITING)
}

fn fresh(channel: &AlertChannel, action: &str, now: Timestamp) -> AlertGroup {
    AlertGroup {
        tenant_id: channel.tenant_id,
        channel_id: channel.channel_id,
        action: action.to_owned(),
        told_at: now,
        held: 0,
    }
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Allowed => "done",
        Outcome::Denied => "denied",
        Outcome::Failed => "failed",
    }
}

/// A notice whose addressee is the channel.
async fn write(
    tx: &mut FencedTx,
    env: &Env,
    channel: &AlertChannel,
    action: &str,
    facts: &[(String, String)],
    now: Timestamp,
) -> Result<(), ActorError> {
    let notice_id = env.id();
    let facts: Vec<_> = facts
        .iter()
        .map(|(name, value)| (name.clone(), value.chars().take(LONGEST).collect::<String>()))
        .collect();
    let row = Notice {
        tenant_id: channel.tenant_id,
        notice_id,
        user_id: None,
        address: channel.channel_id.to_string(),
        kind: format!("{KIND}{action}"),
        subject: action.to_owned(),
        body: serde_json::to_vec(&facts).unwrap_or_default(),
        created_at: now,
        attempts: 0,
        next_attempt_at: Some(now),
        handed_over_at: None,
    };
    tx.insert(&row).await?;
    Ok(tx.set_timer(notices::TIMER, &notice_id.to_string(), now, &[]).await?)
}

/// The cooldown of an action is over: how often it happened since.
pub(crate) async fn more(work: &mut Work, subject: &str) -> Result<(), ActorError> {
    let Some((channel, action)) = subject.split_once(' ') else { return Ok(()) };
    let Ok(channel) = channel.parse::<AlertChannelId>() else { return Ok(()) };
    let Some(channel) = work.tx.get::<AlertChannel>(channel).await? else { return Ok(()) };
    let Some(group) = work.tx.get::<AlertGroup>((channel.channel_id, action.to_owned())).await? else {
        return Ok(());
    };
    if group.held == 0 {
        return Ok(());
    }
    if is_full(&mut work.tx, channel.channel_id).await? {
        let again = work.now + COOLDOWN;
        return work.set_timer(MORE, subject, again, &[]).await;
    }
    let facts = [
        ("severity".to_owned(), rules::worst(action).as_str().to_owned()),
        ("times_more".to_owned(), group.held.to_string()),
        ("since_at".to_owned(), group.told_at.millis().to_string()),
    ];
    let now = work.now;
    work.tx.upsert(&AlertGroup { held: 0, told_at: now, ..group }).await?;
    let env = Arc::clone(&work.env);
    write(&mut work.tx, &env, &channel, action, &facts, now).await?;
    work.then(crate::effect::Effect::TimerSet(now));
    Ok(())
}

/// What is handed over for an alert; none if its channel is gone.
pub(crate) async fn mail(work: &mut Work, row: &Notice) -> Result<Option<Mail>, ActorError> {
    let channel = match row.address.parse::<AlertChannelId>() {
        Ok(id) => work.tx.get::<AlertChannel>(id).await?,
        Err(_) => None,
    };
    let Some(channel) = channel else { return Ok(None) };
    if !channels::leads_to_ours(work, &channel).await? {
        return Ok(None);
    }
    let facts: Vec<(String, String)> = serde_json::from_slice(&row.body).unwrap_or_default();
    let said = facts.iter().find(|(name, _)| name == "severity").map(|(_, value)| value.as_str());
    let severity = match said {
        Some("critical") => Severity::Critical,
        Some("warning") => Severity::Warning,
        _ => Severity::Info,
    };
    let alert = Alert {
        id: row.notice_id,
        tenant: row.tenant_id,
        action: row.subject.clone(),
        severity,
        facts,
        at: row.created_at,
    };
    letter(&work.env, &channel, alert).map(Some)
}

/// The alert on its way to the channel.
pub(super) fn letter(env: &Env, channel: &AlertChannel, alert: Alert) -> Result<Mail, ActorError> {
    let to = target(env, channel)?;
    let id = alert.id;
    if to.kind == AlertKind::Email {
        let Alert { tenant, action, facts, at, .. } = alert;
        let body = MailBody::Notice { tenant, kind: format!("{KIND}{action}"), facts, at };
        return Ok(Mail { id, to: to.target.expose().clone(), body });
    }
    Ok(Mail { id, to: String::new(), body: MailBody::Alert { target: Box::new(to), alert: Box::new(alert) } })
}
