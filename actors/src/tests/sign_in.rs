//! Sign-up, links, sessions.

use std::{collections::BTreeSet, time::Duration};

use futures_util::future::join_all;
use ocmt_crypto::token::{Token, TokenKind};
use ocmt_store::{Fault, Point, Stalled, tables::Link};
use ocmt_types::Secret;

use super::kit::{Kit, Person, START, binding, until};
use crate::{
    Limits,
    api::{
        audit::QueryAudit,
        auth::{
            LinkPurpose, ListSessions, RequestMagicLink, RevokeOtherSessions, RevokeSession, SignOut, SignUp,
            WhoAmI,
        },
        factors::{Presence, StepUp},
        tenant::{CreateTenant, GetTenant, TenantPolicy, UpdateTenantPolicy},
        users::Role,
    },
};

async fn a_person_signs_up_and_in(kit: Kit) {
    let ann = kit.founder("Ann@Example.com").await;
    let me = kit.call(&ann.caller, WhoAmI).await.unwrap();
    assert_eq!((me.email.as_str(), me.role), ("ann@example.com", Role::Owner.into()));
    let again = kit
        .sign_in(&super::kit::Person { email: "ann@example.com".into(), ..ann.clone() }, LinkPurpose::SignIn)
        .await;
    assert_eq!(again.user, ann.user);
    assert_ne!(again.token, ann.token);
    assert_eq!(kit.call(&again.caller, ListSessions).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_person_signs_up_and_in_on_sim() {
    a_person_signs_up_and_in(Kit::sim().await).await;
}

#[tokio::test]
async fn a_person_signs_up_and_in_on_sqlite() {
    a_person_signs_up_and_in(Kit::sqlite().await).await;
}

#[tokio::test]
async fn s6_a_link_works_once() {
    let kit = Kit::sim().await;
    kit.founder("ann@example.com").await;
    let link = kit.link("ann@example.com", LinkPurpose::SignIn).await;
    kit.exchange(&link).await.unwrap();
    assert_eq!(kit.exchange(&link).await.err().unwrap().reason(), "UNAUTHENTICATED");
}

#[tokio::test]
async fn s6_a_sign_up_link_works_once() {
    let kit = Kit::sim().await;
    kit.system
        .sign_up(SignUp {
            email: "bob@example.com".into(),
            tenant_name: "Bob".into(),
            binding_hash: binding().1,
        })
        .unwrap();
    let token = kit.mailbox.nth("bob@example.com", 0).await.tokens[0].1.clone();
    assert!(kit.exchange_bound(&token, &[8; 32]).await.is_err(), "shown from elsewhere");
    let results = join_all((0..20).map(|_| kit.exchange(&token))).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
}

#[tokio::test]
async fn s6_a_link_ends_after_ten_minutes() {
    let kit = Kit::sim().await;
    kit.founder("ann@example.com").await;
    let link = kit.link("ann@example.com", LinkPurpose::SignIn).await;
    kit.clock.advance(Duration::from_secs(600));
    assert!(kit.exchange(&link).await.is_err());
    let link = kit.link("ann@example.com", LinkPurpose::SignIn).await;
    kit.clock.advance(Duration::from_secs(599));
    kit.exchange(&link).await.unwrap();
}

#[tokio::test]
async fn s6_a_link_shown_from_elsewhere_is_refused_and_not_burned() {
    let kit = Kit::sim().await;
    kit.founder("ann@example.com").await;
    let link = kit.link("ann@example.com", LinkPurpose::SignIn).await;
    let elsewhere = kit.exchange_bound(&link, &[8; 32]).await.err().unwrap();
    let unknown = kit.exchange(&link.replace("ocmt_lnk", "ocmt_key")).await.err().unwrap();
    assert_eq!(elsewhere, unknown, "every bad link has the same answer");
    kit.exchange(&link).await.unwrap();
}

#[tokio::test]
async fn s6_the_newest_link_ends_the_older_of_its_device() {
    let kit = Kit::sim().await;
    kit.founder("ann@example.com").await;
    let older = kit.link("ann@example.com", LinkPurpose::SignIn).await;
    let recovery = kit.link("ann@example.com", LinkPurpose::Recovery).await;
    let newest = kit.link("ann@example.com", LinkPurpose::SignIn).await;
    assert!(kit.exchange(&older).await.is_err());
    kit.exchange(&newest).await.unwrap();
    kit.exchange(&recovery).await.unwrap();
}

async fn of_fifty_parallel_exchanges_one_wins(kit: Kit) {
    kit.founder("ann@example.com").await;
    let link = kit.link("ann@example.com", LinkPurpose::SignIn).await;
    let results = join_all((0..50).map(|_| kit.exchange(&link))).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s6_of_fifty_parallel_exchanges_one_wins_on_sim() {
    of_fifty_parallel_exchanges_one_wins(Kit::sim().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s6_of_fifty_parallel_exchanges_one_wins_on_sqlite() {
    of_fifty_parallel_exchanges_one_wins(Kit::sqlite().await).await;
}

#[tokio::test]
async fn an_unknown_address_gets_the_same_answer_and_no_mail() {
    let kit = Kit::sim().await;
    kit.founder("ann@example.com").await;
    let ask = |email: &str| RequestMagicLink {
        email: email.into(),
        tenant: None,
        purpose: LinkPurpose::SignIn,
        binding_hash: binding().1,
    };
    let known = kit.system.request_magic_link(ask("ann@example.com"), kit.request());
    let unknown = kit.system.request_magic_link(ask("nobody@example.com"), kit.request());
    assert_eq!(known, unknown);
    kit.mailbox.nth("ann@example.com", 1).await;
    assert_eq!(kit.mailbox.count("nobody@example.com"), 0);
}

#[tokio::test]
async fn one_mail_holds_a_link_for_each_tenant_of_the_address() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let created = kit
        .system
        .create_tenant(ann.caller.clone(), kit.keyed(1, 1), CreateTenant { name: "Second".into() })
        .await
        .unwrap();
    let repeated = kit
        .system
        .create_tenant(ann.caller.clone(), kit.keyed(1, 1), CreateTenant { name: "Second".into() })
        .await
        .unwrap();
    assert_eq!(created, repeated, "a repeat founds nothing new");
    let tenants = kit.system.list_tenants(ann.caller.clone(), kit.meta()).await.unwrap();
    assert_eq!(
        tenants.iter().map(|tenant| tenant.id).collect::<BTreeSet<_>>(),
        BTreeSet::from([ann.tenant, created.tenant])
    );
    kit.link("ann@example.com", LinkPurpose::SignIn).await;
    let mail = kit.mailbox.nth("ann@example.com", 1).await;
    assert_eq!(mail.tokens.len(), 2);
    for (_, token) in mail.tokens {
        kit.exchange(&token).await.unwrap();
    }
}

#[tokio::test]
async fn s2_the_store_holds_no_token() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let ownership = kit.steal(ann.tenant).await;
    let mut tx = kit.store.read(ownership).await.unwrap();
    let row =
        tx.get::<ocmt_store::tables::Session>(ann.caller.user().unwrap().session).await.unwrap().unwrap();
    assert_eq!(row.token_hash, crate::audit::sha256(ann.token.as_bytes()));
    assert!(kit.authenticate(&row.token_hash.to_string()).await.is_err(), "the hash is not a token");
}

#[tokio::test]
async fn s3_idle_and_absolute_limits_end_a_session() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    for _ in 0..23 {
        kit.clock.advance(Duration::from_secs(3599));
        let caller = kit.authenticate(&ann.token).await.unwrap();
        kit.call(&caller, GetTenant).await.unwrap();
    }
    kit.clock.advance(Duration::from_secs(3599));
    assert!(kit.authenticate(&ann.token).await.is_ok());
    kit.clock.advance(Duration::from_secs(24));
    assert_eq!(kit.authenticate(&ann.token).await.err().unwrap().reason(), "UNAUTHENTICATED");
    let again = kit.sign_in(&ann, LinkPurpose::SignIn).await;
    kit.clock.advance(Duration::from_secs(3600));
    assert!(kit.authenticate(&again.token).await.is_err(), "idle");
}

/// Somebody who may have so many sessions.
pub(super) async fn capped(kit: &Kit, sessions_per_user: u32) -> Person {
    let ann = kit.founder("ann@example.com").await;
    let info = kit.call(&ann.caller, GetTenant).await.unwrap();
    let policy = TenantPolicy { sessions_per_user, ..info.policy };
    kit.call(&ann.caller, UpdateTenantPolicy { policy, version: info.version }).await.unwrap();
    ann
}

/// Links that stand side by side, which the lobby would never make, so that all can be exchanged at once. The tenant's
/// actor loses its ownership by it.
pub(super) async fn links_side_by_side(kit: &Kit, person: &Person, n: usize) -> Vec<String> {
    let mut tx = kit.store.fenced(kit.steal(person.tenant).await).await.unwrap();
    let mut links = Vec::with_capacity(n);
    for _ in 0..n {
        let token = Token::issue(TokenKind::Link, person.tenant, &mut rand::rng());
        let link = Link {
            tenant_id: person.tenant,
            token_hash: token.hash(),
            user_id: person.user,
            purpose: ocmt_store::tables::LinkPurpose::SignIn,
            binding_hash: binding().1,
            created_at: START,
            expires_at: START + Duration::from_secs(60),
        };
        tx.insert(&link).await.unwrap();
        links.push(token.expose().to_owned());
    }
    tx.commit().await.unwrap();
    links
}

async fn the_cap_of_sessions_is_exact(kit: Kit) {
    let ann = capped(&kit, 5).await;
    let links = links_side_by_side(&kit, &ann, 12).await;
    kit.clock.advance(Duration::from_secs(1));
    // the tenant's actor has lost its ownership: the first call finds out, the next activates anew
    let _ = kit.call(&ann.caller, WhoAmI).await;
    let issued: Vec<_> =
        join_all(links.iter().map(|link| kit.exchange(link))).await.into_iter().map(Result::unwrap).collect();
    let mut live = Vec::new();
    for session in &issued {
        live.extend(kit.authenticate(session.token.expose()).await.ok());
    }
    assert_eq!(live.len(), 5);
    assert_eq!(kit.call(&live[0], ListSessions).await.unwrap().len(), 5);
    assert!(kit.authenticate(&ann.token).await.is_err(), "the oldest was ended");
    let trail = QueryAudit { limit: 100, ..QueryAudit::default() };
    let records = kit.call(&live[0], trail).await.unwrap().records;
    let details = records.into_iter().flat_map(|record| record.details);
    let ended = details.filter(|(name, _)| name == "ended_for_room").map(|(_, id)| id);
    assert_eq!(ended.collect::<BTreeSet<_>>().len(), 1 + issued.len() - live.len(), "each is in the trail");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s5_the_cap_of_sessions_is_exact_on_sim() {
    the_cap_of_sessions_is_exact(Kit::sim().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s5_the_cap_of_sessions_is_exact_on_sqlite() {
    the_cap_of_sessions_is_exact(Kit::sqlite().await).await;
}

#[tokio::test]
async fn a_revoked_session_is_refused_at_once_and_its_streams_end() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let other = kit.sign_in(&ann, LinkPurpose::SignIn).await;
    let mut stream = kit.system.tenant(ann.tenant).open_stream(&other.caller, kit.deadline()).await.unwrap();
    let ended =
        kit.call(&ann.caller, RevokeSession { session: other.caller.user().unwrap().session }).await.unwrap();
    assert_eq!(ended.ended, 1);
    stream.over().await;
    assert!(kit.authenticate(&other.token).await.is_err());
    assert_eq!(
        kit.call(&other.caller, WhoAmI).await.unwrap_err().reason(),
        "UNAUTHENTICATED",
        "a caller made before"
    );
    assert!(kit.authenticate(&ann.token).await.is_ok());
}

#[tokio::test]
async fn a_session_that_ends_while_its_row_is_read_does_not_come_to_life() {
    let slow = Limits { poll_every: Duration::from_secs(3600), ..Limits::default() };
    let kit = Kit::sim_with(|config| config.limits = slow).await;
    let ann = kit.founder("ann@example.com").await;
    let link = kit.link("ann@example.com", LinkPurpose::SignIn).await;
    // issued and not shown yet: nobody has it in memory
    let issued = kit.exchange(&link).await.unwrap();
    let stalled = Stalled::default();
    kit.store.faults().unwrap().plan(Point::Statement, Fault::Stall(stalled.clone()));
    let revoke = async {
        // the read has its snapshot and stands
        stalled.reached().await;
        let ended = kit.call(&ann.caller, RevokeSession { session: issued.session.id }).await.unwrap().ended;
        stalled.release();
        ended
    };
    let (shown, ended) = futures_util::join!(kit.authenticate(issued.token.expose()), revoke);
    assert_eq!(ended, 1);
    assert_eq!(shown.unwrap_err().reason(), "UNAUTHENTICATED");
}

#[tokio::test]
async fn k6_sign_out_and_revoke_others_end_what_they_say() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let (b, c) = (kit.sign_in(&ann, LinkPurpose::SignIn).await, kit.sign_in(&ann, LinkPurpose::SignIn).await);
    assert_eq!(kit.call(&b.caller, RevokeOtherSessions::default()).await.unwrap().ended, 2);
    assert!(kit.authenticate(&ann.token).await.is_err() && kit.authenticate(&c.token).await.is_err());
    kit.call(&b.caller, SignOut).await.unwrap();
    assert!(kit.authenticate(&b.token).await.is_err());
}

#[tokio::test]
async fn an_idle_limit_ends_streams_without_a_call() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let info = kit.call(&ann.caller, GetTenant).await.unwrap();
    let mut stream = kit.system.tenant(ann.tenant).open_stream(&ann.caller, kit.deadline()).await.unwrap();
    kit.clock.advance(Duration::from_secs(3000));
    stream.used();
    // comes behind it on the same way
    let same = kit.system.tenant(ann.tenant).open_stream(&ann.caller, kit.deadline()).await.unwrap();
    drop(same);
    kit.clock.advance(Duration::from_secs(3000));
    let caller = kit.authenticate(&ann.token).await.expect("used in between");
    // a policy made shorter applies at once
    kit.clock.advance(Duration::from_secs(120));
    let policy = TenantPolicy { session_idle_ms: 60_000, ..info.policy };
    let fresh = kit.sign_in(&ann, LinkPurpose::SignIn).await;
    kit.call(&fresh.caller, UpdateTenantPolicy { policy, version: info.version }).await.unwrap();
    stream.over().await;
    assert!(kit.call(&caller, WhoAmI).await.is_err());
}

/// A step-up by a mailed link.
pub(crate) fn by_link(token: &str) -> StepUp {
    let (token, binding_secret) = (Secret::new(token.to_owned()), Secret::new(binding().0));
    StepUp { proof: Presence::Link { token, binding_secret } }
}

#[tokio::test]
async fn a_recovery_session_is_good_for_ceremonies_alone() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let thief = kit.sign_in(&ann, LinkPurpose::Recovery).await;
    kit.call(&thief.caller, WhoAmI).await.unwrap();
    assert_eq!(kit.call(&thief.caller, GetTenant).await.unwrap_err().reason(), "PERMISSION_DENIED");
    assert!(kit.call(&thief.caller, ListSessions).await.is_err());
    assert!(kit.call(&thief.caller, RevokeOtherSessions::default()).await.is_err());
    assert!(kit.call(&thief.caller, QueryAudit::default()).await.is_err());
    kit.call(&thief.caller, SignOut).await.unwrap();
}

#[tokio::test]
async fn a_mail_that_nobody_takes_does_not_hold_up_a_call() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    kit.mailbox.refuses.store(true, std::sync::atomic::Ordering::SeqCst);
    let invite = crate::api::users::InviteUser { email: "cy@example.com".into(), role: Role::Member.into() };
    kit.call(&ann.caller, invite).await.unwrap();
    kit.mailbox.refuses.store(false, std::sync::atomic::Ordering::SeqCst);
    until("the mail comes after all", async || kit.mailbox.count("cy@example.com") == 1).await;
}
