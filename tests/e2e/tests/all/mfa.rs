//! The second factor through the real edge: a sign-in that has not shown it, and the whole way by the command line's
//! client.

use ocmt_client::{Client, auth::Purpose, connect::Credential, factors::Code};
use ocmt_crypto::totp::TotpSecret;
use ocmt_testkit::{Person, TestNode, raw};
use ocmt_types::{Clock as _, SystemClock};
use tonic::Code as Status;

use crate::{
    requests::{self, Ids},
    walk,
};

/// What needs no session, and what is left to whoever has not shown the second factor.
const NOT_REFUSED: [&str; 11] = [
    "/ocmt.v1.AuthService/SignUp",
    "/ocmt.v1.AuthService/RequestMagicLink",
    "/ocmt.v1.AuthService/ExchangeMagicLink",
    "/ocmt.v1.AuthService/BeginOidcLogin",
    "/ocmt.v1.AuthService/FinishOidcLogin",
    "/ocmt.v1.UserService/AcceptInvite",
    "/ocmt.v1.AuthService/WhoAmI",
    "/ocmt.v1.AuthService/SignOut",
    "/ocmt.v1.AuthService/CompleteMfa",
    // a passkey is a second factor
    "/ocmt.v1.AuthService/BeginPasskeyAssertion",
    "/ocmt.v1.AuthService/FinishPasskeyAssertion",
];

fn digits(secret: &TotpSecret) -> String {
    secret.code(SystemClock.now()).unwrap()
}

/// Sets up an authenticator; the session of today, and the backup codes.
pub(crate) async fn enrol(person: &Person) -> (Client, Vec<String>) {
    let (_, client, codes) = enrol_by(person).await;
    (client, codes)
}

/// The same, and the digits that were shown for it.
async fn enrol_by(person: &Person) -> (String, Client, Vec<String>) {
    let offer = person.client.begin_totp().await.unwrap();
    let shown = digits(&TotpSecret::from_base32(&offer.secret_base32).unwrap());
    let (client, codes) = person.client.confirm_totp(offer.id, &shown).await.unwrap();
    (shown, client, codes.iter().map(|code| code.to_string()).collect())
}

/// Signs in up to the second factor.
pub(crate) async fn half(node: &TestNode, person: &Person) -> Client {
    let client = node.local().client().await.unwrap();
    let pending = client.request_link(&person.email, None, Purpose::SignIn).await.unwrap();
    let link = node.link(&person.email, "sign-in link").await.unwrap();
    pending.finish(&link, "the second device").await.unwrap()
}

/// The session's token.
pub(crate) fn token(client: &Client) -> String {
    client.credential().map(Credential::expose).unwrap().to_owned()
}

#[tokio::test]
async fn m4_a_sign_in_without_its_second_factor_is_refused_by_every_method() {
    let node = TestNode::start().await.unwrap();
    let channel = node.target().unwrap().connect().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let vault = ada.vault("a passphrase of Ada's").await.unwrap().id();
    enrol(&ada).await;
    let pending = half(&node, &ada).await;
    let me = pending.who_am_i().await.unwrap();
    assert!(me.is_pending(), "{me:?}");
    let own = Ids {
        tenant: me.tenant.to_string(),
        user: me.user.to_string(),
        session: me.session.unwrap().id.to_string(),
        vault: vault.to_string(),
        ..Ids::random()
    };
    let (mut wrong, mut calls) = (Vec::new(), 0);
    // operators ask elsewhere, with a certificate
    let administers = ["UpdateQuota", "SuspendTenant"];
    let of_operators = |path: &str| {
        path.contains("ClusterService")
            || path.contains("OperatorService")
            || administers.iter().any(|method| path.ends_with(method))
    };
    for made in requests::all(&own) {
        if NOT_REFUSED.contains(&made.path.as_str()) || of_operators(&made.path) {
            continue;
        }
        let answer = raw::call(&channel, &made.path, Some(&token(&pending)), made.bytes).await.unwrap();
        calls += 1;
        if answer.code != Status::PermissionDenied {
            wrong.push(format!("{}: {answer:?}", made.path));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    walk::is_told("second factor due", calls);
}

#[tokio::test]
async fn a_code_finishes_the_sign_in_and_the_token_before_is_dead() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let (shown, client, codes) = enrol_by(&ada).await;
    assert!(ada.client.who_am_i().await.is_err(), "the token of before");
    assert_eq!(client.who_am_i().await.unwrap().factors, ["authenticator", "backup code"]);
    let pending = half(&node, &ada).await;
    // those digits, and not those of the step that may have begun meanwhile
    let used = pending.complete_mfa(&Code::of(&shown)).await.err().unwrap();
    assert_eq!(used.reason().as_deref(), Some("WRONG_CODE"), "the step that confirmed the set-up");
    let whole = pending.complete_mfa(&Code::of(&codes[0].to_lowercase().replace('-', " "))).await.unwrap();
    assert!(pending.who_am_i().await.is_err(), "the token of before");
    let sessions = whole.list_sessions().await.unwrap();
    let current = sessions.iter().find(|session| session.current).unwrap();
    assert_eq!((current.device.as_str(), current.address.as_str()), ("the second device", "127.0.0.1"));
    assert_eq!(current.kind, "full with a second factor");
    let stepped = whole.step_up(&Code::of(&codes[1])).await.unwrap();
    stepped.remove_totp().await.unwrap();
    assert!(!half(&node, &ada).await.who_am_i().await.unwrap().is_pending());
}
