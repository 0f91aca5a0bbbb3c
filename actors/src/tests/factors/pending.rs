//! Between the link and the second factor.

use std::time::Duration;

use super::{by_mail, complete, enrol, reason, renewed};
use crate::{
    api::{
        audit::QueryAudit,
        auth::{Assurance, LinkPurpose, ListSessions, RevokeOtherSessions, RevokeSession, SignOut, WhoAmI},
        factors::{BeginTotpEnrollment, Presence, RegenerateBackupCodes, RemoveTotp, SecondFactor, StepUp},
        recovery::ListCeremonies,
        tenant::{CreateTenant, GetTenant},
        users::{InviteUser, ListUsers, Role},
        vault::GetVault,
    },
    tests::kit::Kit,
};

async fn a_link_alone_is_half_a_sign_in(kit: Kit) {
    let ann = enrol(&kit, &kit.founder("ann@example.com").await).await;
    let link = kit.link("ann@example.com", LinkPurpose::SignIn).await;
    let issued = kit.exchange(&link).await.unwrap();
    assert_eq!(issued.session.assurance, Assurance::PendingMfa);
    assert_eq!(issued.pending_factors, [SecondFactor::Totp, SecondFactor::BackupCode]);
    assert_eq!(issued.session.expires_at.since(issued.session.created_at), Duration::from_secs(600));
    let pending = renewed(&kit, &ann.person, &issued).await;
    let whole = complete(&kit, &pending.caller, ann.digits(&kit, 0)).await.unwrap();
    assert_eq!((whole.session.id, whole.session.assurance), (issued.session.id, Assurance::Mfa));
    assert!(whole.pending_factors.is_empty());
    assert_eq!(reason(kit.authenticate(&pending.token).await), "UNAUTHENTICATED", "the token of before");
    let whole = renewed(&kit, &pending, &whole).await;
    kit.call(&whole.caller, GetTenant).await.unwrap();
    let again = complete(&kit, &whole.caller, ann.digits(&kit, 1)).await;
    assert_eq!(reason(again), "NOT_PENDING");
    kit.clock.advance(Duration::from_secs(1200));
    kit.authenticate(&whole.token).await.expect("it lives as long as others");
}

#[tokio::test]
async fn m4_a_link_alone_is_half_a_sign_in_on_sim() {
    a_link_alone_is_half_a_sign_in(Kit::sim().await).await;
}

#[tokio::test]
async fn m4_a_link_alone_is_half_a_sign_in_on_sqlite() {
    a_link_alone_is_half_a_sign_in(Kit::sqlite().await).await;
}

#[tokio::test]
async fn m4_a_pending_session_does_nothing_but_finish_and_ends_after_ten_minutes() {
    let kit = Kit::sim().await;
    let ann = enrol(&kit, &kit.founder("ann@example.com").await).await;
    let pending = by_mail(&kit, &ann.person).await;
    let own = ann.person.caller.user().unwrap().session;
    let link = kit.link("ann@example.com", LinkPurpose::StepUp).await;
    macro_rules! refused {
        ($($ask:expr),+ $(,)?) => {$(
            let answer = kit.call(&pending.caller, $ask).await;
            assert_eq!(reason(answer), "PERMISSION_DENIED", "{}", stringify!($ask));
        )+};
    }
    refused!(
        GetTenant,
        ListSessions,
        RevokeOtherSessions::default(),
        RevokeSession { session: own },
        RevokeSession { session: ocmt_store::testing::id(4) },
        QueryAudit::default(),
        ListUsers::default(),
        InviteUser { email: "bob@example.com".into(), role: Role::Member.into() },
        GetVault { vault: None },
        ListCeremonies { only_live: false, after: None, limit: 0 },
        BeginTotpEnrollment,
        RemoveTotp,
        RegenerateBackupCodes,
        StepUp { proof: Presence::Code(ann.digits(&kit, 0)) },
        crate::tests::sign_in::by_link(&link),
    );
    let tenants = kit.system.list_tenants(pending.caller.clone(), kit.meta()).await;
    assert_eq!(reason(tenants), "PERMISSION_DENIED");
    let created =
        kit.system.create_tenant(pending.caller.clone(), kit.keyed(1, 1), CreateTenant { name: "B".into() });
    assert_eq!(reason(created.await), "PERMISSION_DENIED");
    let stream = kit.system.tenant(ann.person.tenant).open_stream(&pending.caller, kit.deadline()).await;
    assert_eq!(stream.err().unwrap().reason(), "PERMISSION_DENIED", "a stream is for whoever is signed in");
    let me = kit.call(&pending.caller, WhoAmI).await.unwrap();
    assert_eq!((me.session.unwrap().assurance, me.backup_codes_left), (Assurance::PendingMfa, 8));
    // what was refused has used nothing up
    kit.clock.advance(Duration::from_secs(599));
    kit.call(&pending.caller, WhoAmI).await.unwrap();
    kit.clock.advance(Duration::from_secs(1));
    assert_eq!(reason(complete(&kit, &pending.caller, ann.digits(&kit, 0)).await), "UNAUTHENTICATED");
    let another = by_mail(&kit, &ann.person).await;
    kit.call(&another.caller, SignOut).await.unwrap();
    assert!(kit.authenticate(&another.token).await.is_err());
}

#[tokio::test]
async fn whoever_reads_the_mail_alone_pushes_no_session_out() {
    let kit = Kit::sim().await;
    let ann = enrol(&kit, &kit.founder("ann@example.com").await).await;
    let mut pending = Vec::new();
    for _ in 0..11 {
        kit.clock.advance(Duration::from_secs(1));
        pending.push(by_mail(&kit, &ann.person).await);
    }
    assert!(kit.authenticate(&pending[0].token).await.is_err(), "eleven of ten");
    kit.authenticate(&ann.person.token).await.expect("the whole one");
    // and a sign-in that is finished counts with the whole ones
    let mut whole = Vec::new();
    for (n, half) in pending.iter().skip(1).enumerate() {
        let code = if n < 8 { ann.paper(n) } else { ann.digits(&kit, i64::try_from(n).unwrap() - 8) };
        whole.push(complete(&kit, &half.caller, code).await.unwrap());
    }
    assert_eq!(whole.len(), 10);
    assert!(kit.authenticate(&ann.person.token).await.is_err(), "ten more than the first");
    for one in &whole {
        kit.authenticate(one.token.expose()).await.unwrap();
    }
}

#[tokio::test]
async fn a_recovery_session_is_not_asked_for_the_second_factor() {
    let kit = Kit::sim().await;
    let ann = enrol(&kit, &kit.founder("ann@example.com").await).await;
    let recovery = kit.sign_in(&ann.person, LinkPurpose::Recovery).await;
    assert_eq!(recovery.caller.user().unwrap().assurance, Assurance::Recovery);
    kit.call(&recovery.caller, ListCeremonies { only_live: false, after: None, limit: 0 }).await.unwrap();
    for code in [ann.digits(&kit, 0), ann.paper(0)] {
        assert_eq!(reason(super::step_up(&kit, &recovery.caller, code).await), "PERMISSION_DENIED");
    }
    assert_eq!(reason(complete(&kit, &recovery.caller, ann.digits(&kit, 0)).await), "PERMISSION_DENIED");
    assert_eq!(reason(kit.call(&recovery.caller, RemoveTotp).await), "PERMISSION_DENIED");
    let tenants = kit.system.list_tenants(recovery.caller.clone(), kit.meta()).await;
    assert_eq!(reason(tenants), "PERMISSION_DENIED");
}

#[tokio::test]
async fn s1_a_sign_in_knows_its_device_and_place_and_no_token_of_before() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let listed = kit.call(&ann.caller, ListSessions).await.unwrap();
    assert_eq!((listed[0].client.as_str(), listed[0].address.as_deref()), ("a test", Some("192.0.2.1")));
    // used from elsewhere
    let elsewhere = Some(std::net::IpAddr::from([192, 0, 2, 77]));
    let caller = kit.system.authenticate(&ann.token, kit.request(), elsewhere, kit.deadline()).await.unwrap();
    let listed = kit.call(&caller, ListSessions).await.unwrap();
    assert_eq!(listed[0].address.as_deref(), Some("192.0.2.77"));
    let again = by_mail(&kit, &ann).await;
    assert_ne!(again.token, ann.token, "each sign-in has a token of its own making");
}
