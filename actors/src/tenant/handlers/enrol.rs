//! Setting up a second factor and taking it away. The account's address hears of both.

use std::time::Duration;

use ocmt_crypto::{
    backup_code::{self, CODES},
    totp::TotpSecret,
};
use ocmt_store::tables::{Assurance, BackupCode, Factor, Session, TotpEnrollment, User};
use ocmt_types::{Secret, UserId};
use rand::CryptoRng;

use super::{
    attempts, factors,
    notices::{self, NoticeText},
    passkeys,
    session_issue::{self, Proof},
    session_row,
};
use crate::{
    api::{
        factors::{
            BackupCodes, BeginTotpEnrollment, ConfirmTotpEnrollment, RegenerateBackupCodes, RemoveTotp,
            TotpConfirmed, TotpOffered,
        },
        users::Done,
    },
    authorize::{Action, FACTOR_DUE, Object},
    caller,
    error::ActorError,
    work::{Handle, Work},
};

/// A secret that is not confirmed is forgotten after so long.
const ENROLLMENT_LASTS: Duration = Duration::from_secs(10 * 60);
/// What authenticators show beside the account.
const ISSUER: &str = "OCMT";
/// The contract's bound of a URI, in bytes.
const LONGEST_URI: usize = 512;

impl Handle for BeginTotpEnrollment {
    async fn handle(self, work: &mut Work) -> Result<TotpOffered, ActorError> {
        let user = own_without_passkey(work).await?;
        let (tenant, _) = session_row::tenant_of(&work.env, &mut work.tx).await?;
        let secret = TotpSecret::generate(&mut rand::rng());
        let wrapped = work
            .env
            .sealing
            .wrap(&factors::place(&factors::row(work, user.user_id)), secret.expose(), &mut rand::rng())
            .map_err(|_| ActorError::unavailable("SEALING_KEY", "a newer sealing key is in force; repeat"))?;
        work.check_wrapped(&wrapped).await?;
        let row = TotpEnrollment {
            tenant_id: work.ownership.tenant,
            user_id: user.user_id,
            enrollment_id: work.env.id(),
            wrapped,
            created_at: work.now,
            expires_at: work.now + ENROLLMENT_LASTS,
        };
        work.tx.upsert(&row).await?;
        work.object = format!("user/{}", user.user_id);
        Ok(TotpOffered {
            id: row.enrollment_id,
            otpauth_uri: Secret::new(uri(&secret, &user, &tenant.name)),
            secret_base32: Secret::new(secret.to_base32().to_string()),
            expires_at: row.expires_at,
        })
    }
}

impl Handle for ConfirmTotpEnrollment {
    async fn handle(self, work: &mut Work) -> Result<TotpConfirmed, ActorError> {
        let user = own_without_passkey(work).await?;
        let row = work.tx.get::<TotpEnrollment>(user.user_id).await?;
        // one that has lapsed, was replaced or is somebody else's is not there
        let row = row.filter(|row| row.enrollment_id == self.enrollment && row.expires_at > work.now);
        let row = row.ok_or(ActorError::NotFound)?;
        let secret = factors::secret(work, user.user_id, &row.wrapped)?;
        let step = secret.check(self.code.expose(), work.now, None).map_err(|_| {
            ActorError::precondition(
                "WRONG_CODE",
                "the code is wrong or too old: enter the one that is shown now",
            )
        })?;
        let replaces = user.totp_wrapped.is_some();
        let next = User {
            totp_wrapped: Some(row.wrapped),
            // the code that confirmed it signs nobody in
            totp_last_step: Some(factors::stored_step(step)),
            ..user.clone()
        };
        work.tx.update(&next).await?;
        work.tx.delete::<TotpEnrollment>(user.user_id).await?;
        for factor in Factor::ALL {
            attempts::right(work, user.user_id, *factor).await?;
        }
        let backup_codes = fresh_codes(work, user.user_id).await?;
        let what = if replaces { "replaced" } else { "set up" };
        tell(work, &user, "factor.added", &format!("an authenticator (TOTP) was {what} as second factor"))
            .await?;
        let who = work.user()?;
        let session = work.tx.get::<Session>(who.session).await?.ok_or(ActorError::NotFound)?;
        let signed_in = session_issue::renew(work, session, Proof::Of(Assurance::Mfa)).await?;
        work.object = format!("user/{}", user.user_id);
        Ok(TotpConfirmed { backup_codes, signed_in })
    }
}

impl Handle for RemoveTotp {
    async fn handle(self, work: &mut Work) -> Result<Done, ActorError> {
        let user = own(work, Action::ChangeFactors).await?;
        if user.totp_wrapped.is_none() {
            return Err(factors::no_factor());
        }
        let left = User { totp_wrapped: None, totp_last_step: None, ..user.clone() };
        factors::may_be_left(work, &left).await?;
        work.tx.update(&left).await?;
        work.tx.delete::<TotpEnrollment>(user.user_id).await?;
        attempts::right(work, user.user_id, Factor::Totp).await?;
        let what = if factors::has_one(&left) {
            "the authenticator (TOTP) was taken off as second factor; passkeys and backup codes stay"
        } else {
            factors::forget_codes(work, user.user_id).await?;
            attempts::right(work, user.user_id, Factor::BackupCode).await?;
            "the authenticator (TOTP) and the backup codes were taken off as second factor"
        };
        tell(work, &user, "factor.removed", what).await?;
        work.object = format!("user/{}", user.user_id);
        Ok(Done)
    }
}

impl Handle for RegenerateBackupCodes {
    async fn handle(self, work: &mut Work) -> Result<BackupCodes, ActorError> {
        let user = own(work, Action::ChangeFactors).await?;
        if !factors::has_one(&user) {
            return Err(factors::no_factor());
        }
        let codes = fresh_codes(work, user.user_id).await?;
        attempts::right(work, user.user_id, Factor::BackupCode).await?;
        let what = "new backup codes were made; the ones before open nothing any more";
        tell(work, &user, "factor.codes_replaced", what).await?;
        work.object = format!("user/{}", user.user_id);
        Ok(BackupCodes(codes))
    }
}

/// Takes every second factor off an account, and what belongs to it.
pub(super) async fn forget(work: &mut Work, user: &User) -> Result<(), ActorError> {
    let without = User { totp_wrapped: None, totp_last_step: None, passkeys: 0, ..user.clone() };
    work.tx.update(&without).await?;
    work.tx.delete::<TotpEnrollment>(user.user_id).await?;
    factors::forget_codes(work, user.user_id).await?;
    passkeys::forget(work, user.user_id).await?;
    for factor in Factor::ALL {
        attempts::right(work, user.user_id, *factor).await?;
    }
    Ok(())
}

/// The caller's own account, if the caller may do this to it.
pub(super) async fn own(work: &mut Work, action: Action) -> Result<User, ActorError> {
    let who = work.user()?;
    work.authorize(action, &Object::of(who.user))?;
    work.tx.get::<User>(who.user).await?.ok_or(ActorError::NotFound)
}

/// A new set in place of the one before.
async fn fresh_codes(work: &mut Work, user: UserId) -> Result<Vec<Secret<String>>, ActorError> {
    work.tx.delete_all::<BackupCode>(BackupCode::user_id.eq(user)).await?;
    let mut codes = Vec::with_capacity(CODES);
    let fresh = generated(&mut rand::rng());
    for (text, code_hash) in fresh {
        let row =
            BackupCode { tenant_id: work.ownership.tenant, user_id: user, code_hash, created_at: work.now };
        work.tx.insert(&row).await?;
        codes.push(text);
    }
    Ok(codes)
}

fn generated(rng: &mut impl CryptoRng) -> Vec<(Secret<String>, ocmt_types::Digest32)> {
    let fresh = std::iter::repeat_with(|| backup_code::BackupCode::generate(rng));
    fresh.take(CODES).map(|code| (Secret::new(code.to_text().to_string()), code.hash())).collect()
}

/// For a QR code: with the tenant's name, unless that makes it too long.
fn uri(secret: &TotpSecret, user: &User, tenant: &str) -> String {
    let short: String = tenant.chars().take(24).collect();
    let named = [format!("{} ({short})", user.email), user.email.clone(), user.user_id.to_string()];
    let mut uris = named.iter().map(|account| secret.to_uri(ISSUER, account).to_string());
    uris.find(|uri| uri.len() <= LONGEST_URI).unwrap_or_default()
}

/// The caller's account, where an authenticator may be set up: a session that has yet to show the passkey that the policy
/// wants adds a passkey, and replaces nothing else.
async fn own_without_passkey(work: &mut Work) -> Result<User, ActorError> {
    let user = own(work, Action::EnrolFactor).await?;
    if work.user()?.assurance == caller::Assurance::PendingMfa && factors::has_one(&user) {
        return Err(FACTOR_DUE.into());
    }
    Ok(user)
}

pub(in crate::tenant) async fn tell(
    work: &mut Work,
    user: &User,
    kind: &str,
    what: &str,
) -> Result<(), ActorError> {
    let from = session_row::address_of(work).unwrap_or_else(|| "unknown".to_owned());
    let facts = [
        ("what", what.to_owned()),
        ("from address", from),
        (
            "if it was not you",
            "end your sessions (`ocmt sessions revoke-others`) and tell an admin".to_owned(),
        ),
    ];
    let facts = facts.map(|(name, value)| (name.to_owned(), value));
    let subject = user.user_id.to_string();
    let text =
        NoticeText { user: Some(user.user_id), address: &user.email, kind, subject: &subject, facts: &facts };
    notices::write(work, text).await.map(drop)
}
