//! Setting up an authenticator and taking it away.

use std::time::Duration;

use ocmt_crypto::sealing::SealingKeys;
use ocmt_store::{
    Filter, Rewrap,
    tables::{BackupCode, TotpEnrollment, User},
};
use ocmt_types::Secret;

use super::{by_mail, complete, digits, enrol, reason, renewed, typed_in};
use crate::{
    ActorError,
    api::{
        auth::{Assurance, LinkPurpose, WhoAmI},
        factors::{
            BeginTotpEnrollment, Code, ConfirmTotpEnrollment, RegenerateBackupCodes, RemoveTotp, SecondFactor,
        },
        users::{RemoveUser, Role},
    },
    tests::kit::{Kit, Person, sealing_key},
};

fn code(digits: Code) -> Secret<String> {
    match digits {
        Code::Totp(code) | Code::Backup(code) => code,
    }
}

#[tokio::test]
async fn an_authenticator_is_set_up_told_of_and_taken_away() {
    let kit = Kit::sqlite().await;
    let founder = kit.founder("ann@example.com").await;
    let me = kit.call(&founder.caller, WhoAmI).await.unwrap();
    assert_eq!((me.factors, me.session.unwrap().assurance), (vec![], Assurance::Link));
    let ann = enrol(&kit, &founder).await;
    assert!(kit.authenticate(&founder.token).await.is_err(), "the session has another token");
    let me = kit.call(&ann.person.caller, WhoAmI).await.unwrap();
    assert_eq!(me.factors, [SecondFactor::Totp, SecondFactor::BackupCode]);
    assert_eq!((me.session.unwrap().assurance, me.backup_codes_left), (Assurance::Mfa, 8));
    assert_eq!(ann.codes.iter().collect::<std::collections::BTreeSet<_>>().len(), 8);
    let told = kit.mailbox.nth("ann@example.com", 1).await;
    assert_eq!(told.kind, "factor.added");
    assert!(!format!("{told:?}").contains(&ann.codes[0]) && told.tokens.is_empty());
    kit.call(&ann.person.caller, RemoveTotp).await.unwrap();
    let told = kit.mailbox.nth("ann@example.com", 2).await;
    assert_eq!(told.kind, "factor.removed");
    assert_eq!(reason(kit.call(&ann.person.caller, RemoveTotp).await), "NO_SECOND_FACTOR");
    let again = by_mail(&kit, &ann.person).await;
    assert_eq!(again.caller.user().unwrap().assurance, Assurance::Link);
}

#[tokio::test]
async fn m7_an_unconfirmed_secret_gates_nothing_and_is_forgotten() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let first = kit.call(&ann.caller, BeginTotpEnrollment).await.unwrap();
    assert!(first.otpauth_uri.expose().starts_with("otpauth://totp/OCMT:ann%40example.com"));
    assert!(first.otpauth_uri.expose().contains(first.secret_base32.expose().as_str()));
    let again = by_mail(&kit, &ann).await;
    assert_eq!(again.caller.user().unwrap().assurance, Assurance::Link, "it gates nothing");
    // a newer one takes its place
    let second = kit.call(&again.caller, BeginTotpEnrollment).await.unwrap();
    let confirm = |id, secret: &Secret<String>| ConfirmTotpEnrollment {
        enrollment: id,
        code: code(digits(&kit, &typed_in(secret), 0)),
    };
    let older = kit.call(&ann.caller, confirm(first.id, &first.secret_base32)).await;
    assert_eq!(reason(older), "NOT_FOUND");
    let mixed = kit.call(&ann.caller, confirm(second.id, &first.secret_base32)).await;
    assert_eq!(reason(mixed), "WRONG_CODE");
    kit.clock.advance(Duration::from_secs(600));
    let ann = by_mail(&kit, &ann).await;
    let late = kit.call(&ann.caller, confirm(second.id, &second.secret_base32)).await;
    assert_eq!(reason(late), "NOT_FOUND");
    assert!(kit.call(&ann.caller, WhoAmI).await.unwrap().factors.is_empty());
    // and nobody else confirms it
    let bob = kit.member(&ann, "bob@example.com", Role::Member).await;
    let third = kit.call(&ann.caller, BeginTotpEnrollment).await.unwrap();
    let foreign = kit.call(&bob.caller, confirm(third.id, &third.secret_base32)).await;
    assert_eq!(reason(foreign), "NOT_FOUND");
    kit.call(&ann.caller, confirm(third.id, &third.secret_base32)).await.unwrap();
}

#[tokio::test]
async fn m2_only_the_step_before_the_present_one_and_the_one_after_count_each_once() {
    let kit = Kit::sim().await;
    let ann = enrol(&kit, &kit.founder("ann@example.com").await).await;
    // the step that confirmed the set-up lies one back, and was used by that
    kit.clock.advance(Duration::from_secs(60));
    for (step, good) in [(-2, false), (2, false), (-1, true), (-1, false), (0, true), (1, true), (0, false)] {
        let pending = by_mail(&kit, &ann.person).await;
        let shown = complete(&kit, &pending.caller, ann.digits(&kit, step)).await;
        assert_eq!(shown.is_ok(), good, "step {step}: {:?}", shown.err());
    }
    // also where it is asked for again
    let stepped = super::step_up(&kit, &ann.person.caller, ann.digits(&kit, 1)).await;
    assert_eq!(reason(stepped), "WRONG_CODE", "a code that signed in confirms nothing");
}

#[tokio::test]
async fn the_code_that_confirmed_the_set_up_signs_nobody_in() {
    let kit = Kit::sim().await;
    let founder = kit.founder("ann@example.com").await;
    let offered = kit.call(&founder.caller, BeginTotpEnrollment).await.unwrap();
    let secret = typed_in(&offered.secret_base32);
    let confirm = ConfirmTotpEnrollment { enrollment: offered.id, code: code(digits(&kit, &secret, 0)) };
    kit.call(&founder.caller, confirm).await.unwrap();
    let pending = by_mail(&kit, &founder).await;
    assert_eq!(reason(complete(&kit, &pending.caller, digits(&kit, &secret, 0)).await), "WRONG_CODE");
}

#[tokio::test]
async fn m5_a_backup_code_works_once_in_any_hand_and_a_new_set_ends_the_old() {
    let kit = Kit::sqlite().await;
    let ann = enrol(&kit, &kit.founder("ann@example.com").await).await;
    let shown = async |typed: String| {
        let pending = by_mail(&kit, &ann.person).await;
        complete(&kit, &pending.caller, Code::Backup(Secret::new(typed))).await
    };
    shown(ann.codes[0].to_lowercase().replace('-', " ")).await.unwrap();
    assert_eq!(reason(shown(ann.codes[0].clone()).await), "WRONG_CODE", "used");
    assert_eq!(kit.call(&ann.person.caller, WhoAmI).await.unwrap().backup_codes_left, 7);
    let fresh = kit.call(&ann.person.caller, RegenerateBackupCodes).await.unwrap().0;
    assert_eq!(fresh.len(), 8);
    assert_eq!(reason(shown(ann.codes[1].clone()).await), "WRONG_CODE", "of the old set");
    shown(fresh[0].expose().clone()).await.unwrap();
    let own = kit.steal(ann.person.tenant).await;
    let mut tx = kit.store.read(own).await.unwrap();
    for row in tx.find::<BackupCode>(Filter::all()).await.unwrap() {
        let stored = row.code_hash.to_string();
        assert!(!fresh.iter().any(|code| code.expose().replace('-', "") == stored), "a code in clear");
    }
}

#[tokio::test]
async fn m6_a_second_factor_is_taken_away_by_whoever_shows_it_alone() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let thief = by_mail(&kit, &ann).await;
    let ann = enrol(&kit, &ann).await;
    // signed in a moment ago, by a link alone
    for refused in [
        kit.call(&thief.caller, RemoveTotp).await.map(drop),
        kit.call(&thief.caller, RegenerateBackupCodes).await.map(drop),
        kit.call(&thief.caller, BeginTotpEnrollment).await.map(drop),
    ] {
        assert_eq!(refused, Err(ActorError::StepUpRequired));
    }
    let link = kit.link("ann@example.com", LinkPurpose::StepUp).await;
    let by_link = kit.call(&thief.caller, crate::tests::sign_in::by_link(&link)).await;
    assert_eq!(reason(by_link), "SECOND_FACTOR_NEEDED");
    // and its owner too long after showing it
    kit.clock.advance(Duration::from_secs(901));
    assert_eq!(kit.call(&ann.person.caller, RemoveTotp).await, Err(ActorError::StepUpRequired));
    let stepped = super::step_up(&kit, &ann.person.caller, ann.digits(&kit, 0)).await.unwrap();
    let stepped = renewed(&kit, &ann.person, &stepped).await;
    kit.call(&stepped.caller, RemoveTotp).await.unwrap();
}

async fn row(kit: &Kit, person: &Person) -> User {
    let own = kit.steal(person.tenant).await;
    let mut tx = kit.store.read(own).await.unwrap();
    let row = tx.get::<User>(person.user).await.unwrap().unwrap();
    drop(tx);
    kit.store.cluster().release(own).await.unwrap();
    row
}

#[tokio::test]
async fn secrets_are_wrapped_and_go_under_the_next_sealing_key() {
    let kit = Kit::sim().await;
    let ann = enrol(&kit, &kit.founder("ann@example.com").await).await;
    let bob = kit.member(&ann.person, "bob@example.com", Role::Member).await;
    let offered = kit.call(&bob.caller, BeginTotpEnrollment).await.unwrap();
    let bobs = typed_in(&offered.secret_base32);
    let stored = row(&kit, &ann.person).await.totp_wrapped.unwrap();
    assert!(!stored.windows(20).any(|bytes| bytes == ann.secret.expose()), "a secret in clear");
    let _ = kit.call(&ann.person.caller, WhoAmI).await;
    let ring = kit.system.env.sealing.clone();
    ring.replace(SealingKeys::new([sealing_key(1), sealing_key(2)]));
    let what = Rewrap { lowest: 1, latest: 2 };
    assert_eq!(kit.store.operators().rewrapping(what).await.unwrap().left, 2);
    kit.system.rewrap(ann.person.tenant, kit.deadline()).await.unwrap();
    assert_eq!(kit.store.operators().rewrapping(what).await.unwrap().left, 0);
    ring.replace(SealingKeys::new([sealing_key(2)]));
    let pending = by_mail(&kit, &ann.person).await;
    complete(&kit, &pending.caller, ann.digits(&kit, 0)).await.unwrap();
    let confirm = ConfirmTotpEnrollment { enrollment: offered.id, code: code(digits(&kit, &bobs, 0)) };
    kit.call(&bob.caller, confirm).await.unwrap();
    // without its key no code is good: nobody is let in by default
    ring.replace(SealingKeys::new([sealing_key(3)]));
    let pending = by_mail(&kit, &ann.person).await;
    assert_eq!(reason(complete(&kit, &pending.caller, ann.digits(&kit, 1)).await), "SEALING_KEY");
}

#[tokio::test]
async fn nothing_of_a_removed_users_second_factor_stays() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let bob = enrol(&kit, &kit.member(&ann, "bob@example.com", Role::Member).await).await;
    kit.call(&bob.person.caller, BeginTotpEnrollment).await.unwrap();
    kit.call(&ann.caller, RemoveUser { user: bob.person.user }).await.unwrap();
    let removed = row(&kit, &bob.person).await;
    assert_eq!((removed.totp_wrapped, removed.totp_last_step), (None, None));
    let mut tx = kit.store.read(kit.steal(ann.tenant).await).await.unwrap();
    assert_eq!(tx.count(Filter::<BackupCode>::all()).await.unwrap(), 0);
    assert_eq!(tx.count(Filter::<TotpEnrollment>::all()).await.unwrap(), 0);
}
