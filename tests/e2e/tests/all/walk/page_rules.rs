//! What each route of HTTP is for, and who may: who adds one says so here. A route that is looked at and posted to has
//! two lines.

use super::rules::Least::{self, Admin, Member, Observer, Owner};
use crate::requests::{Ids, uuid};

/// Which thing a page shows.
pub(super) type Of = fn(&Ids) -> String;
/// What a form sends besides its proof.
pub(super) type Fields = fn(&Ids) -> Vec<(&'static str, String)>;

/// What a route of HTTP is for.
#[derive(Clone, Copy)]
pub(super) enum Page {
    /// Shown to everybody, whatever they show.
    Public,
    /// Of whoever is signed in and this at least; anybody else is shown the form that signs in.
    Own(Least),
    /// The same of one thing, whose id is the end of its path: what is not theirs is not there.
    One(Least, Of),
    /// Not there.
    Missing,
    /// A form of a page of one's own: it is posted to, and answers nothing that is asked of it otherwise.
    Form(Least, Fields),
    /// The same, of a session whose second factor is due as well.
    Half(Fields),
    /// A form of whoever is about to sign in.
    Enter(Fields),
    /// A WebSocket, with the token of a gateway alone.
    Gateway,
}

use Page::{Enter, Form, Gateway, Half, Missing, One, Own, Public};

impl Page {
    /// As the router has it.
    pub(super) fn verb(self) -> &'static str {
        match self {
            Public | Own(_) | One(..) | Missing => "get",
            Form(..) | Half(_) | Enter(_) => "post",
            Gateway => "any",
        }
    }
}

/// Routes beside the methods, as the router has them (by the name of a constant where it is one), and one path of
/// each, without the id of a thing.
pub(super) const ROUTES: &[(&str, &str, Page)] = &[
    ("/", "/", Own(Observer)),
    ("/auth/link", "/auth/link", Enter(address)),
    ("/auth/link/{token}", "/auth/link/ocmt_lnk_x", Public),
    ("/auth/link/{token}", "/auth/link/ocmt_lnk_x", Enter(nothing)),
    ("/auth/mfa", "/auth/mfa", Half(|_| vec![("code", "123456".to_owned())])),
    ("/auth/oidc", "/auth/oidc?code=x&state=y", Public),
    ("/auth/sign-out", "/auth/sign-out", Half(nothing)),
    ("/oauth/callback/{provider}", "/oauth/callback/git?code=x&state=y", Public),
    ("/auth/sign-up", "/auth/sign-up", Public),
    ("/auth/sign-up", "/auth/sign-up", Enter(address)),
    ("/auth/passkey", "/auth/passkey", Enter(assertion)),
    ("/app/passkeys", "/app/passkeys", Own(Observer)),
    ("/app/passkeys/remove", "/app/passkeys/remove", Form(Observer, |_| vec![("passkey", uuid())])),
    ("/app/audit", "/app/audit", Own(Observer)),
    ("/app/audit/verify", "/app/audit/verify", Form(Admin, |_| vec![("number", "1".to_owned())])),
    ("/app/recovery", "/app/recovery", Own(Observer)),
    ("/app/recovery/veto", "/app/recovery/veto", Form(Observer, |ids| vec![("ceremony", ceremony(ids))])),
    ("/app/recovery/refuse", "/app/recovery/refuse", Form(Observer, |_| vec![("request", uuid())])),
    ("/app/sessions", "/app/sessions", Own(Observer)),
    ("/app/sessions/end", "/app/sessions/end", Form(Observer, |ids| vec![("session", ids.session.clone())])),
    ("/app/sessions/end-others", "/app/sessions/end-others", Form(Observer, nothing)),
    ("/app/containers", "/app/containers", Own(Member)),
    ("/app/containers/{id}", "/app/containers/", One(Member, |ids| ids.container.clone())),
    ("/app/containers/wake", "/app/containers/wake", Form(Member, container)),
    ("/app/containers/log", "/app/containers/log", Form(Member, container)),
    ("/app/containers/terminal", "/app/containers/terminal", Form(Member, container)),
    ("/app/containers/pause", "/app/containers/pause", Form(Member, container)),
    ("/app/connections", "/app/connections", Own(Member)),
    ("/app/connections/end", "/app/connections/end", Form(Observer, connection)),
    ("/app/groups", "/app/groups", Own(Observer)),
    ("/app/groups/{id}", "/app/groups/", One(Observer, |ids| ids.group.clone())),
    ("/app/groups/leave", "/app/groups/leave", Form(Observer, |ids| vec![("group", ids.group.clone())])),
    ("/app/shares/accept", "/app/shares/accept", Form(Observer, share)),
    ("/app/shares/end", "/app/shares/end", Form(Observer, share)),
    ("/app/approvals", "/app/approvals", Own(Observer)),
    ("/app/approvals/{id}", "/app/approvals/", One(Observer, |ids| ids.capability.clone())),
    (
        "/app/approvals/deny",
        "/app/approvals/deny",
        Form(Observer, |ids| vec![("request", ids.capability.clone())]),
    ),
    ("/app/pairing", "/app/pairing", Own(Member)),
    ("/app/pairing/approve", "/app/pairing/approve", Form(Member, pairing_with_code)),
    (
        "/app/pairing/refuse",
        "/app/pairing/refuse",
        Form(Member, |ids| vec![("pairing", ids.pairing.clone())]),
    ),
    ("/app/pairing/revoke", "/app/pairing/revoke", Form(Member, |ids| vec![("sender", ids.sender.clone())])),
    ("/app/alerts", "/app/alerts", Own(Admin)),
    ("/app/alerts/add", "/app/alerts/add", Form(Owner, channel_of_letters)),
    ("/app/alerts/test", "/app/alerts/test", Form(Admin, channel)),
    ("/app/alerts/remove", "/app/alerts/remove", Form(Owner, channel)),
    ("/app/vault", "/app/vault", Own(Observer)),
    ("/app/vault/keys", "/app/vault/keys", Own(Observer)),
    ("/app/vault/rotate", "/app/vault/rotate", Own(Observer)),
    ("/app/vault/step-up", "/app/vault/step-up", Form(Observer, presence)),
    ("/guardian", "/guardian", Own(Observer)),
    ("/guardian/invitations/{id}", "/guardian/invitations/", One(Observer, |ids| ids.guardianship.clone())),
    ("/guardian/requests/{id}", "/guardian/requests/", One(Observer, ceremony)),
    ("/guardian/drills/{id}", "/guardian/drills/", One(Observer, |ids| ids.guardianship.clone())),
    (
        "/guardian/resign",
        "/guardian/resign",
        Form(Observer, |ids| vec![("guardianship", ids.guardianship.clone())]),
    ),
    ("/guardian/lost-mailbox", "/guardian/lost-mailbox", Form(Observer, lost_mailbox)),
    ("/static/{version}/{*name}", "/static/x/page.css", Missing),
    ("/gateway/{container}", "/gateway/0b0e6f0c-6e0f-4a53-9b1f-5b8f5a1c0d11", Gateway),
    ("/gateway/{container}/", "/gateway/0b0e6f0c-6e0f-4a53-9b1f-5b8f5a1c0d11/", Gateway),
    ("/gateway/{container}/{*path}", "/gateway/0b0e6f0c-6e0f-4a53-9b1f-5b8f5a1c0d11/x/y", Gateway),
    ("KEYS", ocmt::gateway::KEYS, Public),
];

fn nothing(_: &Ids) -> Vec<(&'static str, String)> {
    Vec::new()
}

fn address(_: &Ids) -> Vec<(&'static str, String)> {
    vec![("email", "somebody@e2e.example".to_owned())]
}

fn assertion(_: &Ids) -> Vec<(&'static str, String)> {
    vec![("assertion", uuid()), ("credential", "{}".to_owned()), ("secret", "AAAA".to_owned())]
}

fn ceremony(ids: &Ids) -> String {
    data_encoding::HEXLOWER.encode(&ids.ceremony)
}

fn container(ids: &Ids) -> Vec<(&'static str, String)> {
    vec![("container", ids.container.clone())]
}

fn connection(_: &Ids) -> Vec<(&'static str, String)> {
    vec![("connection", uuid()), ("provider", "git".to_owned())]
}

fn share(ids: &Ids) -> Vec<(&'static str, String)> {
    vec![("share", ids.share.clone())]
}

fn pairing_with_code(ids: &Ids) -> Vec<(&'static str, String)> {
    vec![("pairing", ids.pairing.clone()), ("code", "ABCD2345".to_owned())]
}

fn channel(ids: &Ids) -> Vec<(&'static str, String)> {
    vec![("channel", ids.channel.clone())]
}

fn channel_of_letters(_: &Ids) -> Vec<(&'static str, String)> {
    let text = str::to_owned;
    vec![("name", text("n")), ("email", text("somebody@e2e.example")), ("least", text("critical"))]
}

fn presence(ids: &Ids) -> Vec<(&'static str, String)> {
    let signature = data_encoding::HEXLOWER.encode(&[7; 64]);
    vec![("vault", ids.vault.clone()), ("handout", uuid()), ("signature", signature)]
}

fn lost_mailbox(ids: &Ids) -> Vec<(&'static str, String)> {
    vec![("guardianship", ids.guardianship.clone()), ("new_address", "somebody@e2e.example".to_owned())]
}
