//! Confirming sensitive acts.

use std::time::Duration;

use ocmt_crypto::vault::ProofOf;

use super::{by_mail, enrol, reason, renewed, step_up, told};
use crate::{
    ActorError,
    api::{
        auth::{Assurance, LinkPurpose, RevokeSession},
        factors::{Presence, StepUp},
        recovery::InviteGuardian,
        tenant::{GetTenant, TenantPolicy, UpdateTenantPolicy},
        users::{RemoveUser, Role, SetRole},
        vault::GetKeySlots,
    },
    tests::{kit::Kit, sign_in::by_link, vault::vault_of},
};

#[tokio::test]
async fn m6_sensitive_acts_ask_for_the_second_factor() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let vault = vault_of(&kit, &ann).await.scope().vault;
    let bob = kit.member(&ann, "bob@example.com", Role::Member).await;
    let plain = by_mail(&kit, &ann).await;
    let ann = enrol(&kit, &ann).await;
    let guardian = || InviteGuardian { vault, email: "cy@example.com".into(), units: 1 };
    for refused in [
        kit.call(&plain.caller, guardian()).await.map(drop),
        kit.call(&plain.caller, SetRole { user: bob.user, role: Role::Observer.into() }).await.map(drop),
        kit.call(&plain.caller, RemoveUser { user: bob.user }).await.map(drop),
    ] {
        assert_eq!(
            refused,
            Err(ActorError::StepUpRequired),
            "it was signed in a moment ago, by a link alone"
        );
    }
    let stepped = step_up(&kit, &plain.caller, ann.digits(&kit, 0)).await.unwrap();
    assert_eq!(stepped.session.assurance, Assurance::Mfa);
    let stepped = renewed(&kit, &plain, &stepped).await;
    kit.call(&stepped.caller, guardian()).await.unwrap();
    kit.call(&stepped.caller, SetRole { user: bob.user, role: Role::Observer.into() }).await.unwrap();
    kit.call(&stepped.caller, RemoveUser { user: bob.user }).await.unwrap();
    // whoever loses something hears of it
    told(&kit, "bob@example.com", "user.role_reduced").await;
    told(&kit, "bob@example.com", "user.removed").await;
}

#[tokio::test]
async fn a_step_up_changes_the_token_and_neither_the_end_nor_the_streams() {
    let kit = Kit::sim().await;
    let ann = enrol(&kit, &kit.founder("ann@example.com").await).await;
    let before = ann.person.caller.user().unwrap();
    let mut stream =
        kit.system.tenant(ann.person.tenant).open_stream(&ann.person.caller, kit.deadline()).await.unwrap();
    kit.clock.advance(Duration::from_secs(1800));
    let stepped = step_up(&kit, &ann.person.caller, ann.digits(&kit, 0)).await.unwrap();
    assert_eq!(stepped.session.id, before.session);
    assert_eq!(stepped.session.expires_at.since(stepped.session.created_at), Duration::from_secs(24 * 3600));
    assert!(kit.authenticate(&ann.person.token).await.is_err(), "the token of before");
    let caller = kit.authenticate(stepped.token.expose()).await.unwrap();
    assert!(futures_util::FutureExt::now_or_never(stream.over()).is_none(), "the stream goes on");
    kit.call(&caller, RevokeSession { session: before.session }).await.unwrap();
    stream.over().await;
}

#[tokio::test]
async fn an_open_vault_confirms_where_there_is_no_second_factor() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let open = vault_of(&kit, &ann).await;
    let vault = open.scope().vault;
    kit.clock.advance(Duration::from_secs(901));
    let remove = || RemoveUser { user: ann.user };
    assert_eq!(kit.call(&ann.caller, remove()).await, Err(ActorError::StepUpRequired));
    let proof = async |of| {
        let slots =
            kit.call(&ann.caller, GetKeySlots { vault: Some(vault), kind: None, claim: None }).await.unwrap();
        let signature = open.prove(of, slots.challenge).signature;
        Presence::Vault { vault, handout: slots.handout, signature }
    };
    let other = StepUp { proof: proof(ProofOf::Unlock).await };
    assert_eq!(reason(kit.call(&ann.caller, other).await), "INVALID_ARGUMENT", "it proves another thing");
    // a hand-out that led to nothing is waited for
    kit.clock.advance(Duration::from_secs(1));
    let right = proof(ProofOf::StepUp).await;
    let Presence::Vault { handout, signature, .. } = right else { unreachable!() };
    let again = || StepUp { proof: Presence::Vault { vault, handout, signature } };
    // somebody else's vault confirms nothing
    let bob = kit.member(&by_mail(&kit, &ann).await, "bob@example.com", Role::Member).await;
    assert_eq!(reason(kit.call(&bob.caller, again()).await), "NOT_FOUND");
    // a recovery session that no ceremony has opened the vault to
    let recovery = kit.sign_in(&ann, LinkPurpose::Recovery).await;
    assert_eq!(reason(kit.call(&recovery.caller, again()).await), "PERMISSION_DENIED");
    let stepped = kit.call(&ann.caller, again()).await.unwrap();
    let stepped = renewed(&kit, &ann, &stepped).await;
    assert_eq!(
        reason(kit.call(&stepped.caller, again()).await),
        "NOT_FOUND",
        "each challenge is answered once"
    );
    assert_eq!(reason(kit.call(&stepped.caller, remove()).await), "LAST_OWNER");
    // with a second factor, that one is asked for
    let ann = enrol(&kit, &stepped).await;
    let slots = kit
        .call(&ann.person.caller, GetKeySlots { vault: Some(vault), kind: None, claim: None })
        .await
        .unwrap();
    let signature = open.prove(ProofOf::StepUp, slots.challenge).signature;
    let proof = Presence::Vault { vault, handout: slots.handout, signature };
    assert_eq!(reason(kit.call(&ann.person.caller, StepUp { proof }).await), "SECOND_FACTOR_NEEDED");
    let link = kit.link("ann@example.com", LinkPurpose::StepUp).await;
    assert_eq!(reason(kit.call(&ann.person.caller, by_link(&link)).await), "SECOND_FACTOR_NEEDED");
}

#[tokio::test]
async fn step_up_wants_a_sign_in_as_recent_as_the_policy_says() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let info = kit.call(&ann.caller, GetTenant).await.unwrap();
    let change = |version| UpdateTenantPolicy {
        policy: TenantPolicy { sessions_per_user: 7, ..info.policy.clone() },
        version,
    };
    kit.clock.advance(Duration::from_secs(301));
    assert_eq!(kit.call(&ann.caller, change(1)).await.unwrap_err(), ActorError::StepUpRequired);
    let bob = kit.founder("bob@example.com").await;
    let foreign = kit.link("bob@example.com", LinkPurpose::StepUp).await;
    let recovery = kit.link("ann@example.com", LinkPurpose::Recovery).await;
    let sign_in = kit.link("ann@example.com", LinkPurpose::SignIn).await;
    let own = kit.link("ann@example.com", LinkPurpose::StepUp).await;
    for bad in [&foreign, &recovery, &sign_in, &bob.token] {
        assert!(kit.call(&ann.caller, by_link(bad)).await.is_err());
    }
    assert!(kit.exchange(&own).await.is_err(), "it starts no session");
    let stepped = kit.call(&ann.caller, by_link(&own)).await.unwrap();
    assert!(kit.authenticate(&ann.token).await.is_err(), "the token before is dead");
    let again = kit.authenticate(stepped.token.expose()).await.unwrap();
    assert_eq!(again.user().unwrap().session, ann.caller.user().unwrap().session);
    assert_eq!(
        stepped.session.stepped_up_until.since(stepped.session.authenticated_at),
        Duration::from_secs(300)
    );
    kit.clock.advance(Duration::from_secs(299));
    let longer = |step_up_ms, version| UpdateTenantPolicy {
        policy: TenantPolicy { step_up_ms, ..info.policy.clone() },
        version,
    };
    assert_eq!(kit.call(&again, longer(20 * 60_000, 1)).await.unwrap().version, 2);
    assert!(kit.call(&again, by_link(&own)).await.is_err(), "a link works once");
    kit.clock.advance(Duration::from_secs(15 * 60));
    assert_eq!(kit.call(&again, longer(60_000, 2)).await.unwrap().version, 3, "20 min are 20 min");
    assert_eq!(
        kit.call(&again, change(3)).await.unwrap_err(),
        ActorError::StepUpRequired,
        "and 1 min is one"
    );
}
