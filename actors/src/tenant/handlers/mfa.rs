//! Showing who one is a second time: finishing a sign-in, and confirming sensitive acts. The session gets another
//! token each time, and the one before is dead.

use ocmt_crypto::{
    token::{Token, TokenKind},
    vault::ProofOf,
};
use ocmt_store::tables::{Assurance as StoredAssurance, Link, LinkPurpose, Session};
use ocmt_types::Secret;

use super::{
    super::vault::{ground, redeem},
    auth::BAD_LINK,
    factors,
    session_issue::{self, Proof},
    session_row,
};
use crate::{
    api::{
        auth::SessionIssued,
        factors::{CompleteMfa, Presence, StepUp},
    },
    audit,
    authorize::{Action, Object},
    caller::{Assurance, SignedIn},
    error::ActorError,
    work::{Handle, Work},
};

impl Handle for CompleteMfa {
    async fn handle(self, work: &mut Work) -> Result<SessionIssued, ActorError> {
        let who = work.user()?;
        work.authorize(Action::CompleteMfa, &Object::of(who.user))?;
        if who.assurance != Assurance::PendingMfa {
            return Err(ActorError::precondition("NOT_PENDING", "this sign-in is finished already"));
        }
        work.object = format!("session/{}", who.session);
        factors::show(work, who.user, &self.code).await?;
        renewed(work, who, Proof::Of(StoredAssurance::Mfa)).await
    }
}

impl Handle for StepUp {
    async fn handle(self, work: &mut Work) -> Result<SessionIssued, ActorError> {
        let who = work.user()?;
        work.object = format!("session/{}", who.session);
        let shown = match self.proof {
            Presence::Code(code) => {
                work.authorize(Action::StepUp, &Object::of(who.user))?;
                let (_, policy) = session_row::tenant_of(&work.env, &mut work.tx).await?;
                // a session that showed its passkey stays worth that, and goes on with nothing less
                if policy.require_passkey {
                    return Err(factors::passkey_wanted());
                }
                factors::show(work, who.user, &code).await?;
                StoredAssurance::Mfa
            }
            Presence::Link { token, binding_secret } => {
                work.authorize(Action::StepUp, &Object::of(who.user))?;
                no_second_factor(work, who)?;
                take_link(work, who, &token, &binding_secret).await?;
                stored(who.assurance)
            }
            Presence::Vault { vault, handout, signature } => {
                let vault = ground::load(work, Action::StepUp, Some(vault)).await?;
                no_second_factor(work, who)?;
                redeem(work, &vault, ProofOf::StepUp, handout, signature).await?;
                stored(who.assurance)
            }
        };
        renewed(work, who, Proof::Of(shown)).await
    }
}

/// What is not a second factor does not stand in for one that the account has. A recovery session has none to
/// show.
fn no_second_factor(work: &Work, who: SignedIn) -> Result<(), ActorError> {
    if work.standing.has_factor && who.assurance != Assurance::Recovery {
        return Err(ActorError::precondition(
            "SECOND_FACTOR_NEEDED",
            "this account has a second factor: show a code of it",
        ));
    }
    Ok(())
}

async fn take_link(
    work: &mut Work,
    who: SignedIn,
    token: &Secret<String>,
    binding_secret: &Secret<Vec<u8>>,
) -> Result<(), ActorError> {
    let token = Token::parse_kind(TokenKind::Link, token.expose()).map_err(|_| BAD_LINK)?;
    let good = Link::expires_at
        .gt(work.now)
        .and(Link::binding_hash.eq(audit::sha256(binding_secret.expose())))
        .and(Link::user_id.eq(who.user))
        .and(Link::purpose.eq(LinkPurpose::StepUp));
    work.tx.take_if::<Link>(token.hash(), good).await?.map(drop).ok_or(BAD_LINK)
}

async fn renewed(work: &mut Work, who: SignedIn, shown: Proof) -> Result<SessionIssued, ActorError> {
    let session = work.tx.get::<Session>(who.session).await?.ok_or(ActorError::NotFound)?;
    session_issue::renew(work, session, shown).await
}

fn stored(assurance: Assurance) -> StoredAssurance {
    match assurance {
        Assurance::Inert => StoredAssurance::Inert,
        Assurance::PendingMfa => StoredAssurance::PendingMfa,
        Assurance::Recovery => StoredAssurance::Recovery,
        Assurance::Link => StoredAssurance::Link,
        Assurance::Mfa => StoredAssurance::Mfa,
    }
}
