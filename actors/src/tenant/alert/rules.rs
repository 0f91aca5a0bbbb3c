//! Which records are alerts by themselves, and how bad they are.

use ocmt_crypto::audit::{AuditRecord, Outcome};

use crate::api::alert::Severity;

/// Actions that were done: `area/verb` as the audit has it.
const DONE: &[(&str, Severity)] = &[
    ("AlertService/DeleteChannel", Severity::Warning),
    ("AlertService/PutChannel", Severity::Warning),
    ("AuditService/RemoveAuditStream", Severity::Warning),
    ("AuditService/SetAuditRetention", Severity::Critical),
    ("AuditService/SetAuditStream", Severity::Warning),
    ("AuthService/CreateApiKey", Severity::Info),
    ("AuthService/RegenerateBackupCodes", Severity::Warning),
    ("AuthService/RemovePasskey", Severity::Warning),
    ("AuthService/RemoveTotp", Severity::Warning),
    ("ContainerService/DeleteSnapshot", Severity::Warning),
    ("ContainerService/DeleteSnapshotSchedule", Severity::Warning),
    ("ContainerService/RestoreSnapshot", Severity::Warning),
    ("RecoveryService/CancelCeremony", Severity::Warning),
    ("RecoveryService/CompleteCeremony", Severity::Critical),
    ("RecoveryService/OpenCeremony", Severity::Critical),
    ("RecoveryService/VetoCeremony", Severity::Warning),
    ("ShareService/CreateProgramToken", Severity::Info),
    ("TenantService/DeleteTenant", Severity::Critical),
    ("TenantService/RemoveOidcProvider", Severity::Warning),
    ("TenantService/SetOidcProvider", Severity::Critical),
    ("TenantService/UpdateTenantPolicy", Severity::Warning),
    ("UserService/RemoveUser", Severity::Info),
    ("UserService/SetRole", Severity::Warning),
    ("VaultService/FinishRotation", Severity::Info),
    // what guardians say, as the tenant of the vault's owner has it: the calls are made in theirs
    ("ceremony.approve", Severity::Warning),
    ("ceremony.deny", Severity::Warning),
    ("ceremony.doubt", Severity::Warning),
    ("ceremony.lock", Severity::Critical),
    ("ceremony.moved", Severity::Critical),
    ("ceremony.override", Severity::Critical),
    // each step, as the tenant of a guardian has it
    ("ceremony.told", Severity::Warning),
    ("container.drift", Severity::Critical),
    ("email.change", Severity::Warning),
    // proposed, taken back, lapsed, made; or they were dismissed
    ("guardian.change", Severity::Critical),
    // a guardian says so, and a link goes to another address
    ("recovery.lost_mailbox", Severity::Critical),
    // a backup key or hardware token: asked for where it is waited for, and all that follows; or handed out at once
    ("slots.asked", Severity::Critical),
    ("slots.handed_out", Severity::Warning),
];

/// Actions that were refused or failed: somebody tries.
const REFUSED: &[(&str, Severity)] = &[
    ("AuthService/CompleteMfa", Severity::Warning),
    ("AuthService/FinishPasskeyAssertion", Severity::Warning),
    ("AuthService/StepUp", Severity::Warning),
    ("RecoveryService/ApproveCeremony", Severity::Warning),
    ("RecoveryService/OpenCeremony", Severity::Warning),
    ("VaultService/GetVault", Severity::Warning),
    ("audit.stream_down", Severity::Warning),
    ("program.stopped", Severity::Critical),
    ("container.drift", Severity::Critical),
    // what a workload wrote since is not kept, or is lost
    ("container.not_sealed", Severity::Warning),
    // by schedule: the next one is due, and the last is not taken yet
    ("snapshot.overdue", Severity::Warning),
    ("snapshot.given_up", Severity::Warning),
    // by schedule: nothing is taken until its user does something
    ("snapshot.refused", Severity::Warning),
    // its host does not believe the schedule: it is an earlier one, or nobody's
    ("snapshot.schedule_refused", Severity::Critical),
];

/// How bad the record is; none if it is no alert by itself.
pub(super) fn severity(record: &AuditRecord) -> Option<Severity> {
    let rules = if record.outcome == Outcome::Allowed { DONE } else { REFUSED };
    let found = rules.iter().find(|(action, _)| *action == record.action);
    found.map(|(_, severity)| *severity)
}

/// Whether it is of a recovery that was opened, goes on or ends: of these a channel is told that was tried, whatever it is for.
pub(super) fn is_of_recovery(record: &AuditRecord) -> bool {
    record.outcome == Outcome::Allowed
        && matches!(
            record.action.as_str(),
            "RecoveryService/OpenCeremony"
                | "RecoveryService/CancelCeremony"
                | "RecoveryService/CompleteCeremony"
                | "RecoveryService/VetoCeremony"
                | "ceremony.approve"
                | "ceremony.deny"
                | "ceremony.doubt"
                | "ceremony.lock"
                | "ceremony.moved"
                | "ceremony.override"
                | "ceremony.told"
                | "guardian.change"
                | "recovery.lost_mailbox"
                | "slots.asked"
                | "slots.handed_out"
        )
}

/// Whether it is of a channel that was named, changed or deleted.
pub(super) fn is_of_channels(record: &AuditRecord) -> bool {
    record.outcome == Outcome::Allowed
        && matches!(record.action.as_str(), "AlertService/PutChannel" | "AlertService/DeleteChannel")
}

/// How bad an action is at the worst.
pub(super) fn worst(action: &str) -> Severity {
    let found =
        DONE.iter().chain(REFUSED).filter(|(known, _)| *known == action).map(|(_, severity)| *severity);
    found.max().unwrap_or_default()
}

/// Whether an action is one of these, or begins like one that ends in `.` or `/`.
pub(super) fn names(wanted: &[String], action: &str) -> bool {
    wanted.iter().any(|wanted| {
        wanted == action || (wanted.ends_with(['.', '/']) && action.starts_with(wanted.as_str()))
    })
}
