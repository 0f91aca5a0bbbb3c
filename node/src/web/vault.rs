//! One's own vault: its secrets, and the ways to open it. What is sealed is fetched, opened and made in the browser
//! (`node/web/js/page/vault*.js`); a page here has no more of it than its id. Showing anew who one is, which some of it wants,
//! is a form: its answer sets the cookie that no script sees.

use askama::Template;
use axum::{
    Form,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use data_encoding::HEXLOWER;
use ocmt_actors::{
    ActorError,
    api::{
        auth::SessionIssued,
        factors::{Presence, StepUp},
        vault::GetVault,
    },
};
use ocmt_crypto::sign::Signature;
use serde::Deserialize;

use super::{
    answer::{html, refused, see_other, with},
    assets::Script,
    frame::Frame,
    pages::{Entered, Guest, Pages, Visitor},
    sign_in::of_session,
};

/// The secrets.
#[derive(Template)]
#[template(path = "vault.html")]
struct Vault<'a> {
    frame: Frame,
    tenant: &'a str,
    user: &'a str,
    /// A rotation was begun: nothing is written before it has come to its end.
    unfinished: bool,
    /// Items of the inbox that nobody filed.
    waiting: u32,
}

/// Making a vault.
#[derive(Template)]
#[template(path = "vault_new.html")]
struct NewVault<'a> {
    frame: Frame,
    email: &'a str,
    tenant: &'a str,
}

/// The ways to open it.
#[derive(Template)]
#[template(path = "vault_keys.html")]
struct VaultKeys<'a> {
    frame: Frame,
    email: &'a str,
    tenant: &'a str,
    user: &'a str,
    vault: &'a str,
    today: &'a str,
    unfinished: bool,
}

/// Giving it new keys.
#[derive(Template)]
#[template(path = "vault_rotate.html")]
struct VaultRotate<'a> {
    frame: Frame,
    tenant: &'a str,
    user: &'a str,
}

/// The secrets; where there is no vault yet, making one.
pub(super) async fn entries(State(pages): State<Pages>, Entered { visitor, guest }: Entered) -> Response {
    let (_, cookie) = visitor.own_csrf();
    let (tenant, user) = (guest.me.tenant.to_string(), guest.me.user.to_string());
    let frame = visitor.frame().of_user();
    match own(&pages, &guest).await {
        Ok(Some(Own { unfinished, waiting, .. })) => {
            let frame = frame.running(Script::Vault);
            let page = Vault { frame, tenant: &tenant, user: &user, unfinished, waiting };
            html(StatusCode::OK, &page, [cookie])
        }
        Ok(None) => {
            let (frame, email) = (frame.running(Script::NewVault), &guest.me.email);
            html(StatusCode::OK, &NewVault { frame, email, tenant: &tenant }, [cookie])
        }
        Err(error) => refused(&error, &visitor),
    }
}

/// The ways to open it, and the recovery kit.
pub(super) async fn keys(State(pages): State<Pages>, Entered { visitor, guest }: Entered) -> Response {
    let (_, cookie) = visitor.own_csrf();
    match own(&pages, &guest).await {
        Ok(Some(Own { vault, unfinished, .. })) => {
            let page = VaultKeys {
                frame: visitor.frame().of_user().running(Script::VaultKeys),
                email: &guest.me.email,
                tenant: &guest.me.tenant.to_string(),
                user: &guest.me.user.to_string(),
                vault: &vault,
                today: &visitor.words.at(pages.clock.now()),
                unfinished,
            };
            html(StatusCode::OK, &page, [cookie])
        }
        Ok(None) => see_other("/app/vault", [cookie]),
        Err(error) => refused(&error, &visitor),
    }
}

/// New keys for it.
pub(super) async fn rotate(State(pages): State<Pages>, Entered { visitor, guest }: Entered) -> Response {
    let (_, cookie) = visitor.own_csrf();
    match own(&pages, &guest).await {
        Ok(Some(_)) => {
            let frame = visitor.frame().of_user().running(Script::VaultRotate);
            let (tenant, user) = (guest.me.tenant.to_string(), guest.me.user.to_string());
            html(StatusCode::OK, &VaultRotate { frame, tenant: &tenant, user: &user }, [cookie])
        }
        Ok(None) => see_other("/app/vault", [cookie]),
        Err(error) => refused(&error, &visitor),
    }
}

/// What a page is told of the visitor's own vault.
struct Own {
    vault: String,
    unfinished: bool,
    waiting: u32,
}

/// The visitor's own vault, if there is one.
async fn own(pages: &Pages, guest: &Guest) -> Result<Option<Own>, ActorError> {
    match pages.ask(&guest.caller, GetVault { vault: None }).await {
        Ok(view) => Ok(Some(Own {
            vault: view.info.id.to_string(),
            unfinished: view.rotation.is_some(),
            waiting: view.info.inbox,
        })),
        Err(ActorError::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Proof {
    vault: String,
    handout: String,
    signature: String,
    csrf: String,
}

/// Takes the proof of a script that has the vault open. The answer has no page: it is asked for without leaving one.
pub(super) async fn step_up(
    State(pages): State<Pages>,
    visitor: Visitor,
    Form(proof): Form<Proof>,
) -> Response {
    match stepped_up(&pages, &visitor, &proof).await {
        Ok(issued) => with(StatusCode::NO_CONTENT.into_response(), of_session(&issued)),
        Err(error) => refused(&error, &visitor),
    }
}

async fn stepped_up(pages: &Pages, visitor: &Visitor, proof: &Proof) -> Result<SessionIssued, ActorError> {
    let sender = pages.sender(visitor, &proof.csrf).await?;
    let signature = HEXLOWER.decode(proof.signature.as_bytes()).ok();
    let signature = signature.and_then(|bytes| Signature::try_from(bytes.as_slice()).ok());
    let proof = Presence::Vault {
        vault: proof.vault.parse().map_err(|_| ActorError::NotFound)?,
        handout: proof.handout.parse().map_err(|_| ActorError::NotFound)?,
        signature: signature.ok_or_else(|| ActorError::invalid("signature", "is no signature"))?,
    };
    // the session's token is shown once: what was handed out to be signed is good once, and the script asks for another
    pages.act(&sender, StepUp { proof }).await
}

#[cfg(test)]
mod tests {
    use super::{
        super::hostile::{EVIL, frame, harmless},
        *,
    };

    #[test]
    fn what_people_typed_is_text_and_nothing_else() {
        let (frame, tenant, user, email) = (frame(), EVIL, EVIL, EVIL);
        harmless(&Vault { frame, tenant, user, unfinished: true, waiting: 1 });
        harmless(&NewVault { frame, email, tenant });
        harmless(&VaultKeys { frame, email, tenant, user, vault: EVIL, today: EVIL, unfinished: true });
        harmless(&VaultRotate { frame, tenant, user });
    }
}
