//! The second factors of an account: which it has, and whether a code is one of theirs.

use ocmt_crypto::{backup_code, sealing::SealingPlace, totp::TotpSecret};
use ocmt_store::tables::{BackupCode, Factor, User};
use ocmt_types::UserId;

use super::{attempts, session_row};
use crate::{
    api::factors::{Code, SecondFactor},
    error::ActorError,
    policy::TenantPolicy,
    work::Work,
};

/// Whether the account has a second factor. Backup codes are none of their own: they stand in for one.
pub(super) fn has_one(user: &User) -> bool {
    user.totp_wrapped.is_some() || user.passkeys > 0
}

/// Those an account can show now to finish a sign-in. An authenticator is none for who has the passkey that the
/// policy wants; a backup code leads to another passkey, and no further.
pub(super) async fn of(work: &mut Work, user: UserId) -> Result<Vec<SecondFactor>, ActorError> {
    let row = work.tx.get::<User>(user).await?.ok_or(ActorError::NotFound)?;
    let (_, policy) = session_row::tenant_of(&work.env, &mut work.tx).await?;
    if !has_one(&row) {
        return Ok(Vec::new());
    }
    let mut factors = Vec::new();
    if row.totp_wrapped.is_some() && !is_outranked(&row, &policy) {
        factors.push(SecondFactor::Totp);
    }
    if row.passkeys > 0 {
        factors.push(SecondFactor::Passkey);
    }
    if backup_codes_left(work, user).await? > 0 {
        factors.push(SecondFactor::BackupCode);
    }
    Ok(factors)
}

/// Backup codes that were not used yet.
pub(super) async fn backup_codes_left(work: &mut Work, user: UserId) -> Result<u32, ActorError> {
    let left = work.tx.count::<BackupCode>(BackupCode::user_id.eq(user)).await?;
    Ok(u32::try_from(left).unwrap_or(0))
}

/// Whether the policy lets the account be as it would be then.
pub(super) async fn may_be_left(work: &mut Work, user: &User) -> Result<(), ActorError> {
    let (_, policy) = session_row::tenant_of(&work.env, &mut work.tx).await?;
    if policy.require_mfa && !has_one(user) {
        return Err(ActorError::precondition(
            "MFA_REQUIRED",
            "your tenant wants a second factor: set up another one in its place first",
        ));
    }
    if policy.require_passkey && user.passkeys <= 0 {
        return Err(ActorError::precondition(
            "PASSKEY_REQUIRED",
            "your tenant wants a passkey of everybody: add another one in its place first",
        ));
    }
    Ok(())
}

/// Whether an authenticator's code is worth nothing: the policy wants a passkey, and the account has one.
fn is_outranked(user: &User, policy: &TenantPolicy) -> bool {
    policy.require_passkey && user.passkeys > 0
}

/// The answer to a code where a passkey is wanted.
pub(super) fn passkey_wanted() -> ActorError {
    ActorError::precondition(
        "PASSKEY_REQUIRED",
        "your tenant wants a passkey: show yours; if it is lost, sign in with a backup code and add another one",
    )
}

/// Backup codes stand in for a factor: they go with the last one.
pub(super) async fn forget_codes(work: &mut Work, user: UserId) -> Result<(), ActorError> {
    work.tx.delete_all::<BackupCode>(BackupCode::user_id.eq(user)).await?;
    Ok(())
}

/// Takes a code of the account, which is used up by it. A wrong one is counted and stays so, whatever the handler
/// wrote before it: so it writes nothing before.
pub(super) async fn show(work: &mut Work, user: UserId, code: &Code) -> Result<(), ActorError> {
    let user = work.tx.get::<User>(user).await?.ok_or(ActorError::NotFound)?;
    if !has_one(&user) {
        return Err(no_factor());
    }
    let (_, policy) = session_row::tenant_of(&work.env, &mut work.tx).await?;
    if matches!(code, Code::Totp(_)) && is_outranked(&user, &policy) {
        return Err(passkey_wanted());
    }
    let factor = match code {
        Code::Totp(_) => Factor::Totp,
        Code::Backup(_) => Factor::BackupCode,
    };
    let failures = attempts::admit(work, user.user_id, factor).await?;
    let good = match code {
        Code::Totp(digits) => is_present_step(work, &user, digits.expose()).await?,
        Code::Backup(typed) => is_unused(work, user.user_id, typed.expose()).await?,
    };
    if !good {
        return Err(attempts::wrong(work, &user, factor, failures).await?);
    }
    attempts::right(work, user.user_id, factor).await
}

/// Each step counts once for an account: of many who show the same code the first to write wins.
async fn is_present_step(work: &mut Work, user: &User, digits: &str) -> Result<bool, ActorError> {
    let Some(wrapped) = user.totp_wrapped.as_deref() else {
        return Err(ActorError::precondition("NO_TOTP", "this account has no authenticator: show a passkey"));
    };
    let secret = secret(work, user.user_id, wrapped)?;
    let last = user.totp_last_step;
    let Ok(step) = secret.check(digits, work.now, last.map(|step| u64::try_from(step).unwrap_or(0))) else {
        return Ok(false);
    };
    let used = User { totp_last_step: Some(stored_step(step)), ..user.clone() };
    Ok(work.tx.update_if(&used, User::totp_last_step.eq(last)).await?)
}

/// One statement: of many who show the same code exactly one gets the row.
async fn is_unused(work: &mut Work, user: UserId, typed: &str) -> Result<bool, ActorError> {
    let Ok(code) = backup_code::BackupCode::parse(typed) else { return Ok(false) };
    Ok(work.tx.take::<BackupCode>((user, code.hash())).await?.is_some())
}

/// A wrapped TOTP secret of this account.
pub(super) fn secret(work: &Work, user: UserId, wrapped: &[u8]) -> Result<TotpSecret, ActorError> {
    let bytes = work.env.sealing.now().unwrap_secret(&place(&row(work, user)), wrapped);
    let secret = bytes.and_then(|bytes| TotpSecret::from_slice(&bytes));
    secret.map_err(|_| ActorError::unavailable("SEALING_KEY", "the sealing key of this secret is missing"))
}

/// The same under the latest generation of the sealing key.
pub(in crate::tenant) fn rewrapped(work: &Work, user: UserId, wrapped: &[u8]) -> Result<Vec<u8>, ActorError> {
    let again = work.env.sealing.rewrap(&place(&row(work, user)), wrapped);
    again.map_err(|_| ActorError::unavailable("SEALING_KEY", "the sealing key of this secret is missing"))
}

/// Where a secret belongs: to the account, so that confirming it moves it as it is.
pub(super) fn place(row: &[u8]) -> SealingPlace<'_> {
    SealingPlace { purpose: "totp", row }
}

/// Tenant and user.
pub(super) fn row(work: &Work, user: UserId) -> Vec<u8> {
    [work.ownership.tenant.as_bytes().as_slice(), user.as_bytes().as_slice()].concat()
}

pub(super) fn stored_step(step: u64) -> i64 {
    i64::try_from(step).unwrap_or(i64::MAX)
}

pub(super) fn no_factor() -> ActorError {
    ActorError::precondition("NO_SECOND_FACTOR", "this account has no second factor: set one up first")
}
