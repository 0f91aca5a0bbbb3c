//! Foreign ids, and the audit trail of all of it.

use ocmt_crypto::audit::ChainVerifier;

use super::kit::Kit;
use crate::{
    ActorError,
    api::{
        audit::QueryAudit,
        auth::{LinkPurpose, RevokeSession, WhoAmI},
        tenant::GetTenant,
        users::{GetIdentityKey, RemoveUser, Role, SetRole},
    },
};

#[tokio::test]
async fn t1_foreign_ids_are_not_found_like_unknown_ones() {
    let kit = Kit::sim().await;
    let (ann, bob) = (kit.founder("ann@example.com").await, kit.founder("bob@example.com").await);
    let random = ocmt_store::testing::id(4711);
    let foreign = bob.caller.user().unwrap().session;
    let unknown = ocmt_store::testing::id(4712);
    for session in [foreign, unknown] {
        assert_eq!(kit.call(&ann.caller, RevokeSession { session }).await.unwrap_err(), ActorError::NotFound);
    }
    for user in [bob.user, random] {
        assert_eq!(kit.call(&ann.caller, GetIdentityKey { user }).await.unwrap_err(), ActorError::NotFound);
        assert_eq!(
            kit.call(&ann.caller, SetRole { user, role: Role::Member.into() }).await.unwrap_err(),
            ActorError::NotFound
        );
        assert_eq!(kit.call(&ann.caller, RemoveUser { user }).await.unwrap_err(), ActorError::NotFound);
    }
    // a caller of one tenant at the door of another, and of none
    for tenant in [bob.tenant, ocmt_store::testing::id(4713)] {
        let refused =
            kit.system.tenant(tenant).call(ann.caller.clone(), kit.meta(), GetTenant).await.unwrap_err();
        assert_eq!(refused, ActorError::NotFound);
    }
    kit.call(&bob.caller, WhoAmI).await.expect("nothing changed there");
    let page = kit.call(&ann.caller, QueryAudit::default()).await.unwrap();
    let refused = page.records.iter().filter(|record| record.result == "NOT_FOUND").count();
    assert_eq!(refused, 8, "each is audited with the asker as actor");
    assert!(
        page.records
            .iter()
            .filter(|r| r.result == "NOT_FOUND")
            .all(|r| r.actor == format!("user/{}", ann.user))
    );
}

#[tokio::test]
async fn a_member_cannot_end_another_members_session_nor_learn_of_it() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let (bob, cy) = (
        kit.member(&ann, "bob@example.com", Role::Member).await,
        kit.member(&ann, "cy@example.com", Role::Member).await,
    );
    let session = cy.caller.user().unwrap().session;
    let foreign = kit.call(&bob.caller, RevokeSession { session }).await.unwrap_err();
    let unknown =
        kit.call(&bob.caller, RevokeSession { session: ocmt_store::testing::id(9) }).await.unwrap_err();
    assert_eq!((&foreign, &unknown), (&ActorError::NotFound, &ActorError::NotFound));
    kit.call(&cy.caller, WhoAmI).await.unwrap();
    kit.call(&ann.caller, RevokeSession { session }).await.expect("an admin can");
    assert!(kit.call(&cy.caller, WhoAmI).await.is_err());
}

async fn every_call_is_in_the_chain(kit: Kit) {
    let ann = kit.founder("ann@example.com").await;
    let bob = kit.member(&ann, "bob@example.com", Role::Member).await;
    kit.call(&bob.caller, GetTenant).await.unwrap();
    let refused = kit.call(&bob.caller, RemoveUser { user: ann.user }).await.unwrap_err();
    kit.sign_in(&bob, LinkPurpose::Recovery).await;
    let mut records = Vec::new();
    let mut after = None;
    loop {
        let page =
            kit.call(&ann.caller, QueryAudit { after, limit: 3, ..QueryAudit::default() }).await.unwrap();
        let last = page.records.len() < 3;
        after = page.records.last().map(|record| record.sequence).or(after);
        records.extend(page.records);
        if last {
            break;
        }
        assert!(records.len() < 100, "a page is never full of its own records for ever");
        if records.iter().any(|record| record.method == "AuditService/QueryAudit") {
            break;
        }
    }
    let mut chain = ChainVerifier::new(ann.tenant);
    for record in &records {
        let seq = record.sequence.unsigned_abs();
        chain.next(seq, &record.canonical, &ocmt_types::Digest32(record.hash)).expect("the chain holds");
    }
    let told: Vec<_> =
        records.iter().map(|record| (record.method.as_str(), record.result.as_str())).collect();
    for wanted in [
        ("AuthService/ExchangeMagicLink", "OK"),
        ("UserService/InviteUser", "OK"),
        ("UserService/ConsumeInvite", "OK"),
        ("TenantService/GetTenant", "OK"),
        ("UserService/RemoveUser", refused.reason()),
        ("AuthService/IssueLink", "OK"),
        ("AuthService/ConsumeLink", "OK"),
    ] {
        assert!(told.contains(&wanted), "{wanted:?} is missing in {told:?}");
    }
}

#[tokio::test]
async fn every_call_is_in_the_chain_on_sim() {
    every_call_is_in_the_chain(Kit::sim().await).await;
}

#[tokio::test]
async fn every_call_is_in_the_chain_on_sqlite() {
    every_call_is_in_the_chain(Kit::sqlite().await).await;
}

#[tokio::test]
async fn a_member_reads_the_own_trail_alone() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let bob = kit.member(&ann, "bob@example.com", Role::Member).await;
    assert_eq!(kit.call(&bob.caller, QueryAudit::default()).await.unwrap_err().reason(), "PERMISSION_DENIED");
    let other = QueryAudit { user: Some(ann.user), ..QueryAudit::default() };
    assert!(kit.call(&bob.caller, other).await.is_err());
    kit.call(&bob.caller, GetTenant).await.unwrap();
    let own = QueryAudit { user: Some(bob.user), ..QueryAudit::default() };
    let page = kit.call(&bob.caller, own).await.unwrap();
    assert!(
        !page.records.is_empty()
            && page.records.iter().all(|record| record.actor == format!("user/{}", bob.user))
    );
}
