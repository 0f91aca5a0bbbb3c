//! What somebody without a session can do to people of a tenant: nothing that lasts.

use std::time::Duration;

use ocmt_crypto::token::{Token, TokenKind};
use ocmt_store::{
    Fault, Point,
    tables::{Inbox, Invite, Notice, Signup},
};
use ocmt_types::{Digest32, Secret, TenantId};

use super::kit::{Kit, START, binding, until};
use crate::{
    Caller, Limits,
    api::{
        audit::QueryAudit,
        auth::{Device, IssueLink, LinkPurpose, RequestMagicLink, WhoAmI},
        tenant::CreateTenant,
        users::{AcceptInvite, InviteUser, Role},
    },
};

const MINUTE: Duration = Duration::from_secs(60);

fn forged(kind: TokenKind, tenant: TenantId) -> String {
    Token::issue(kind, tenant, &mut rand::rng()).expose().to_owned()
}

fn quiet(limits: &mut Limits) {
    limits.poll_every = Duration::from_secs(3600);
}

#[tokio::test]
async fn a_forged_token_costs_no_write() {
    let kit = Kit::sim_with(|config| quiet(&mut config.limits)).await;
    let ann = kit.founder("ann@example.com").await;
    kit.call(&ann.caller, WhoAmI).await.unwrap();
    kit.store.faults().unwrap().plan(Point::Begin, Fault::Unavailable);
    let link = kit.exchange(&forged(TokenKind::Link, ann.tenant)).await.err().unwrap();
    let accept =
        AcceptInvite { token: Secret::new(forged(TokenKind::Invite, ann.tenant)), device: Device::default() };
    let invite = kit.system.accept_invite(accept, &kit.meta(), kit.request()).await.err().unwrap();
    assert_eq!((link.reason(), invite.reason()), ("UNAUTHENTICATED", "UNAUTHENTICATED"));
    let first_write = kit.call(&ann.caller, WhoAmI).await.unwrap_err();
    assert_eq!(first_write.reason(), "STORE_UNAVAILABLE", "the fault was still there for it");
}

#[tokio::test]
async fn a_strangers_refusals_are_counted_and_leave_no_record() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let link = kit.link("ann@example.com", LinkPurpose::SignIn).await;
    assert!(kit.exchange_bound(&link, &[8; 32]).await.is_err());
    assert!(kit.exchange(&forged(TokenKind::Link, ann.tenant)).await.is_err());
    let page = kit.call(&ann.caller, QueryAudit::default()).await.unwrap();
    assert!(page.records.iter().all(|record| record.result == "OK"), "{:?}", page.records);
    assert_eq!(kit.system.env.strangers_refused.load(std::sync::atomic::Ordering::Relaxed), 2);
}

#[tokio::test]
async fn strangers_take_no_share_of_those_who_are_signed_in() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let mut held = Vec::new();
    while let Ok(permit) = kit.system.env.admission.take_stranger(ann.tenant, 1) {
        held.push(permit);
    }
    assert_eq!(
        kit.exchange(&forged(TokenKind::Link, ann.tenant)).await.err().unwrap().reason(),
        "TENANT_BUSY"
    );
    let unknown = kit.authenticate(&forged(TokenKind::Session, ann.tenant)).await.err().unwrap();
    assert_eq!(unknown.reason(), "TENANT_BUSY");
    let caller = kit.authenticate(&ann.token).await.expect("the token was met before");
    kit.call(&caller, WhoAmI).await.unwrap();
}

fn wish(email: &str, device: u8) -> RequestMagicLink {
    RequestMagicLink {
        email: email.to_owned(),
        tenant: None,
        purpose: LinkPurpose::SignIn,
        binding_hash: Digest32([device; 32]),
    }
}

#[tokio::test]
async fn a_strangers_wish_for_a_link_ends_no_link_of_the_users_device() {
    let kit = Kit::sim().await;
    kit.founder("ann@example.com").await;
    let own = kit.link("ann@example.com", LinkPurpose::SignIn).await;
    for device in 1..=4 {
        let n = kit.mailbox.count("ann@example.com");
        kit.system.request_magic_link(wish("ann@example.com", device), kit.request()).unwrap();
        kit.mailbox.token_after("ann@example.com", n).await;
    }
    kit.exchange(&own).await.unwrap();
}

#[tokio::test]
async fn five_unused_links_in_ten_minutes_are_the_most() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let issue = async |purpose, device: u8| {
        let stranger = Caller::anonymous(ann.tenant, kit.request(), None);
        let issue =
            IssueLink { email: "ann@example.com".into(), purpose, binding_hash: Digest32([device; 32]) };
        kit.call(&stranger, issue).await.unwrap()
    };
    for _ in 0..3 {
        assert!(issue(LinkPurpose::SignIn, 1).await.is_some());
    }
    for device in 2..=3 {
        assert!(issue(LinkPurpose::SignIn, device).await.is_some());
    }
    assert!(issue(LinkPurpose::SignIn, 4).await.is_none(), "ended ones count as well");
    assert!(issue(LinkPurpose::Recovery, 4).await.is_some(), "of another purpose");
    let sixth = kit.system.request_magic_link(wish("ann@example.com", 4), kit.request());
    assert_eq!(sixth, Ok(()), "and the answer tells nothing");
    kit.clock.advance(10 * MINUTE);
    assert!(issue(LinkPurpose::SignIn, 4).await.is_some());
}

#[tokio::test]
async fn used_links_do_not_count() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    for _ in 0..8 {
        kit.sign_in(&ann, LinkPurpose::SignIn).await;
    }
}

#[tokio::test]
async fn an_address_has_twenty_tenants_at_the_most() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    for n in 2..=21 {
        let found = CreateTenant { name: format!("Tenant {n}") };
        let created = kit.system.create_tenant(ann.caller.clone(), kit.keyed(n, n), found).await;
        match created {
            Ok(_) if n <= 20 => {}
            Err(error) if n > 20 => assert_eq!(error.reason(), "TOO_MANY_TENANTS"),
            other => panic!("tenant {n}: {other:?}"),
        }
    }
    kit.link("ann@example.com", LinkPurpose::SignIn).await;
    assert_eq!(kit.mailbox.nth("ann@example.com", 1).await.tokens.len(), 20);
}

#[tokio::test]
async fn unused_sign_ups_go_within_the_hour() {
    let kit = Kit::sim().await;
    let directory = kit.store.directory();
    let signup = Signup {
        token_hash: Digest32([1; 32]),
        email: "ann@example.com".into(),
        tenant_name: "Ann".into(),
        binding_hash: binding().1,
        created_at: START,
        expires_at: START + 10 * MINUTE,
    };
    directory.put_signup(&signup).await.unwrap();
    kit.clock.advance(71 * MINUTE);
    until("nothing is left of it", async || {
        directory.signup(signup.token_hash, START).await.unwrap().is_none()
    })
    .await;
}

#[tokio::test]
async fn the_sweep_drops_what_is_over_and_keeps_what_is_not() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    kit.call(&ann.caller, InviteUser { email: "bob@example.com".into(), role: Role::Member.into() })
        .await
        .unwrap();
    let day = 24 * 60 * MINUTE;
    let recent = START + 20 * day;
    let mut tx = kit.store.fenced(kit.steal(ann.tenant).await).await.unwrap();
    for (n, at) in [(1, START), (2, recent)] {
        tx.insert(&notice(ann.tenant, n, at)).await.unwrap();
        tx.answer(ocmt_store::testing::id(7), ocmt_store::testing::id(n), "test", b"", at).await.unwrap();
    }
    tx.commit().await.unwrap();
    let read = async || {
        let mut tx = kit.rows(ann.tenant).await;
        (
            tx.count::<Notice>(ocmt_store::Filter::all()).await.unwrap(),
            tx.count::<Inbox>(ocmt_store::Filter::all()).await.unwrap(),
            tx.count::<Invite>(ocmt_store::Filter::all()).await.unwrap(),
        )
    };
    assert_eq!(read().await, (2, 2, 1));
    kit.clock.advance(31 * day);
    until("only what is recent is left", async || read().await == (1, 1, 0)).await;
}

fn notice(tenant: TenantId, n: u64, at: ocmt_types::Timestamp) -> Notice {
    Notice {
        tenant_id: tenant,
        notice_id: ocmt_store::testing::id(n),
        user_id: None,
        address: "ann@example.com".into(),
        kind: "test".into(),
        subject: String::new(),
        body: Vec::new(),
        created_at: at,
        attempts: 1,
        next_attempt_at: None,
        handed_over_at: Some(at),
    }
}

/// By the clock of the runtime, which is paused and goes on when everybody waits.
#[expect(clippy::disallowed_methods, reason = "the wait is the runtime's own")]
fn paused_now() -> tokio::time::Instant {
    tokio::time::Instant::now()
}

/// The work for a known address is more, and what is answered meanwhile waits for it: nobody knows when that is.
#[tokio::test(start_paused = true)]
async fn what_is_done_for_a_stranger_begins_at_a_time_that_nobody_knows() {
    let kit = Kit::sim().await;
    kit.founder("ann@example.com").await;
    let spread = Duration::from_secs(8);
    let slow = kit.beside_with(2, |config| config.limits.lobby_spread = spread).await;
    let mut waits = Vec::new();
    for n in 0..24 {
        let began = paused_now();
        slow.sign_up_link(&format!("new-{n}@example.com")).await;
        waits.push(began.elapsed());
    }
    for device in 1..=4 {
        let (began, n) = (paused_now(), kit.mailbox.count("ann@example.com"));
        slow.system.request_magic_link(wish("ann@example.com", device), slow.request()).unwrap();
        kit.mailbox.token_after("ann@example.com", n).await;
        waits.push(began.elapsed());
    }
    assert!(waits.iter().all(|wait| *wait < spread + Duration::from_secs(2)), "{waits:?}");
    let late = waits.iter().filter(|wait| **wait > spread / 2).count();
    assert!((1..waits.len()).contains(&late), "{late} of {waits:?}");
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_strangers_is_bounded_and_has_room_again() {
    let spread = Duration::from_secs(8);
    let change = |config: &mut crate::SystemConfig| {
        (config.limits.lobby_spread, config.limits.lobby_waiting) = (spread, 2);
    };
    let kit = Kit::sim_with(change).await;
    let ask = |device| kit.system.request_magic_link(wish("nobody@example.com", device), kit.request());
    assert_eq!((ask(1), ask(2)), (Ok(()), Ok(())));
    assert_eq!(ask(3).unwrap_err().reason(), "LOBBY_FULL");
    until("there is room again", || async { ask(4).is_ok() }).await;
}
