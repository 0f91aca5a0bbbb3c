//! How long the audit is kept: as long as the tenant's policy says, for good if it says nothing.
//!
//! What is older goes in whole pieces, oldest first, a few in a transaction, which also writes a record of it and a cut that this
//! node signs: up to where, and by which record the policy was set. That record is never pruned: where it would be, it is said
//! again first. A policy whose record is not there was not set by a call, and nothing is pruned by it.

use std::time::Duration;

use ocmt_crypto::audit::{AuditRecord, Outcome, cut::Cut};
use ocmt_store::{
    Filter, PRUNED_AT_ONCE,
    tables::{AuditRetention, AuditRow, User, UserRole, UserState},
};
use ocmt_types::{Digest32, Timestamp};

use crate::{
    api::audit::{
        CutBefore, GetAuditRetention, LeavesPage, ReadAuditLeaves, RetentionInfo, SetAuditRetention,
    },
    audit,
    authorize::{Action, Object},
    error::ActorError,
    tenant::handlers::notices::{self, NoticeText},
    work::{Handle, Work},
};

/// Timer of what is to be pruned next.
pub(crate) const TIMER: &str = "audit.prune";
const SHORTEST: Duration = Duration::from_secs(90 * DAY);
const LONGEST: Duration = Duration::from_secs(36_500 * DAY);
/// From setting a policy to the first that goes by it: whoever did not set it can have it set otherwise.
const DELAY: Duration = Duration::from_secs(7 * DAY);
const EVERY: Duration = Duration::from_secs(DAY);
const DAY: u64 = 24 * 3600;
/// Pieces that one transaction takes.
const AT_ONCE: usize = 4;
/// Owners that are told.
const MOST_TOLD: u32 = 16;
/// Refused tries to change the policy that are looked through; at more of them nothing is pruned.
const MOST_LATER: u32 = 1_000;
/// Pieces of hashes in one page.
const LEAVES: u32 = 4;
const SET: &str = "AuditService/SetAuditRetention";
/// The policy, said again.
const SAID_AGAIN: &str = "audit.retention";
const KEPT: &str = "kept_ms";
const OBJECT: &str = "audit";

impl Handle for SetAuditRetention {
    async fn handle(self, work: &mut Work) -> Result<RetentionInfo, ActorError> {
        work.authorize(Action::ChangePolicy, &Object::TENANT)?;
        if self.keep.is_some_and(|keep| keep < SHORTEST || keep > LONGEST) {
            return Err(ActorError::invalid("keep", "is 90 days at the least and 36500 at the most"));
        }
        let keep_ms = self.keep.map_or(0, |keep| i64::try_from(keep.as_millis()).unwrap_or(i64::MAX));
        let before = load(work).await?;
        // the frame appends the record of this call as the next
        let policy_seq = last(work).await? + 1;
        let not_before = work.now + DELAY;
        let row = AuditRetention { keep_ms, policy_seq, not_before, ..before };
        work.tx.upsert(&row).await?;
        if keep_ms > 0 {
            work.set_timer(TIMER, "", not_before, &[]).await?;
        } else {
            work.tx.clear_timer(TIMER, "").await?;
        }
        work.object = OBJECT.to_owned();
        work.details = vec![(KEPT.to_owned(), keep_ms.to_string())];
        tell(work, &row).await?;
        Ok(info(&row))
    }
}

impl Handle for GetAuditRetention {
    async fn handle(self, work: &mut Work) -> Result<RetentionInfo, ActorError> {
        work.authorize(Action::QueryTenantAudit, &Object::TENANT)?;
        Ok(info(&load(work).await?))
    }
}

impl Handle for ReadAuditLeaves {
    async fn handle(self, work: &mut Work) -> Result<LeavesPage, ActorError> {
        work.authorize(Action::QueryTenantAudit, &Object::TENANT)?;
        // the opening of the export is in the audit
        work.of_stream = true;
        let pieces = work.tx.audit_leaves(self.after, LEAVES).await?;
        Ok(LeavesPage { pieces: pieces.into_iter().map(|row| (row.chunk, row.hashes)).collect() })
    }
}

/// What was pruned, as whoever exports is given it; none if nothing was.
pub(super) async fn cut(work: &mut Work) -> Result<Option<CutBefore>, ActorError> {
    let row = work.tx.get::<AuditRetention>(()).await?.filter(|row| row.cut > 0);
    Ok(row.map(|row| CutBefore { last: row.cut, certificates: certificates(&row.signer), note: row.note }))
}

/// The timer: takes what is due.
pub(crate) async fn fire(work: &mut Work) -> Result<(), ActorError> {
    let Some(row) = work.tx.get::<AuditRetention>(()).await?.filter(|row| row.keep_ms > 0) else {
        return Ok(());
    };
    if work.now < row.not_before {
        return work.set_timer(TIMER, "", row.not_before, &[]).await;
    }
    if !is_set(work, &row).await? {
        tracing::error!(tenant = %work.ownership.tenant, record = row.policy_seq, "no record sets the policy that the audit is to be pruned by: nothing is pruned");
        let again = work.now + EVERY;
        return work.set_timer(TIMER, "", again, &[]).await;
    }
    let (mut next, mut chain) = (row.clone(), None);
    for _ in 0..AT_ONCE {
        let Some(hash) = piece(work, &mut next).await? else { break };
        chain = Some(hash);
    }
    let full = next.cut - row.cut == PRUNED_AT_ONCE * i64::try_from(AT_ONCE).unwrap_or(0);
    if let Some(chain) = chain {
        seal(work, &row, next, chain).await?;
    }
    let again = if full { work.now } else { work.now + EVERY };
    work.set_timer(TIMER, "", again, &[]).await
}

/// Takes the oldest piece, if it is due: the chain's hash of its last record.
async fn piece(work: &mut Work, row: &mut AuditRetention) -> Result<Option<Digest32>, ActorError> {
    let before = Timestamp(work.now.millis().saturating_sub(row.keep_ms));
    let end = row.cut + PRUNED_AT_ONCE;
    if work.tx.get::<AuditRow>(end).await?.is_none_or(|last| last.at >= before) {
        return Ok(None);
    }
    let Some(pruned) = work.tx.prune_audit(row.cut, before).await? else { return Ok(None) };
    if row.policy_seq <= end {
        let details = vec![
            (KEPT.to_owned(), row.keep_ms.to_string()),
            ("set_by".to_owned(), row.policy_seq.to_string()),
        ];
        audit::note(work, SAID_AGAIN, OBJECT.to_owned(), Outcome::Allowed, details).await?;
        row.policy_seq = last(work).await?;
    }
    row.cut = pruned.last;
    Ok(Some(pruned.hash))
}

/// Says and signs what was pruned.
async fn seal(
    work: &mut Work,
    before: &AuditRetention,
    row: AuditRetention,
    chain: Digest32,
) -> Result<(), ActorError> {
    let damaged = || ActorError::unavailable("STORE_DAMAGED", "the tree of the audit is not whole");
    let tree = work.tx.audit_tree(row.cut.unsigned_abs()).await?.ok_or_else(damaged)?;
    let policy_leaf = work.tx.audit_leaf(row.policy_seq).await?.ok_or_else(damaged)?;
    let cut = Cut {
        tenant: work.ownership.tenant,
        tree,
        chain,
        kept_ms: row.keep_ms.unsigned_abs(),
        policy: row.policy_seq.unsigned_abs(),
        policy_leaf,
        at: work.now,
    };
    let signer = &work.env.signer;
    let note = cut.note(signer.node(), &signer.verify_key(), &signer.sign_cut(&cut));
    let signer = joined(&signer.certificate_chain());
    let details = vec![
        ("from".to_owned(), (before.cut + 1).to_string()),
        ("to".to_owned(), row.cut.to_string()),
        ("policy".to_owned(), row.policy_seq.to_string()),
        (KEPT.to_owned(), row.keep_ms.to_string()),
    ];
    let row = AuditRetention { note, signer, pruned_at: Some(work.now), ..row };
    work.tx.update(&row).await?;
    audit::note(work, "audit.pruned", OBJECT.to_owned(), Outcome::Allowed, details).await
}

/// Whether the record that is named sets this policy.
async fn is_set(work: &mut Work, row: &AuditRetention) -> Result<bool, ActorError> {
    let Some(found) = work.tx.get::<AuditRow>(row.policy_seq).await? else { return Ok(false) };
    let Ok(record) = AuditRecord::from_bytes(&found.record) else { return Ok(false) };
    let kept = row.keep_ms.to_string();
    // one that was taken back since is none
    let later = AuditRow::action.eq(SET.to_owned()).and(AuditRow::seq.gt(row.policy_seq));
    for later in work.tx.find::<AuditRow>(later.limit(MOST_LATER)).await? {
        let later = AuditRecord::from_bytes(&later.record);
        if later.map_or(true, |later| later.outcome == Outcome::Allowed) {
            return Ok(false);
        }
    }
    Ok(record.outcome == Outcome::Allowed
        && [SET, SAID_AGAIN].contains(&record.action.as_str())
        && record.details.iter().any(|(name, value)| name == KEPT && *value == kept))
}

/// Owners hear of it while they can still change it.
async fn tell(work: &mut Work, row: &AuditRetention) -> Result<(), ActorError> {
    let facts = if row.keep_ms > 0 {
        let days = Duration::from_millis(row.keep_ms.unsigned_abs()).as_secs() / DAY;
        vec![
            ("kept_days".to_owned(), days.to_string()),
            ("prunes_at".to_owned(), row.not_before.millis().to_string()),
        ]
    } else {
        vec![("kept".to_owned(), "for good".to_owned())]
    };
    let owners = User::role.eq(UserRole::Owner).and(User::state.eq(UserState::Active));
    for owner in work.tx.find::<User>(owners.limit(MOST_TOLD)).await? {
        let text = NoticeText {
            user: Some(owner.user_id),
            address: &owner.email,
            kind: SAID_AGAIN,
            subject: OBJECT,
            facts: &facts,
        };
        notices::write(work, text).await?;
    }
    Ok(())
}

async fn load(work: &mut Work) -> Result<AuditRetention, ActorError> {
    let none = AuditRetention {
        tenant_id: work.ownership.tenant,
        keep_ms: 0,
        policy_seq: 0,
        not_before: work.now,
        cut: 0,
        note: String::new(),
        signer: Vec::new(),
        pruned_at: None,
    };
    Ok(work.tx.first::<AuditRetention>(Filter::all()).await?.unwrap_or(none))
}

async fn last(work: &mut Work) -> Result<i64, ActorError> {
    Ok(work.tx.audit_head().await?.map_or(0, |head| head.seq))
}

fn info(row: &AuditRetention) -> RetentionInfo {
    RetentionInfo {
        keep: (row.keep_ms > 0).then(|| Duration::from_millis(row.keep_ms.unsigned_abs())),
        prunes_from: (row.keep_ms > 0).then_some(row.not_before),
        pruned: row.cut,
        pruned_at: row.pruned_at,
    }
}

fn joined(certificates: &[Vec<u8>]) -> Vec<u8> {
    let with_length = |der: &Vec<u8>| {
        let length = u32::try_from(der.len()).unwrap_or(0).to_be_bytes();
        [length.as_slice(), der].concat()
    };
    certificates.iter().flat_map(with_length).collect()
}

fn certificates(mut joined: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    while let Some((length, rest)) = joined.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        let Some((der, rest)) = rest.split_at_checked(length) else { break };
        found.push(der.to_vec());
        joined = rest;
    }
    found
}

#[cfg(test)]
#[path = "retention_tests.rs"]
mod tests;
