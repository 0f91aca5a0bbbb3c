//! Wrong codes: counted for good, and waited for longer and longer.

use std::time::Duration;

use super::{Enrolled, by_mail, complete, enrol, reason, step_up, told, wrong};
use crate::{
    api::audit::QueryAudit,
    tests::kit::{Kit, Person},
};

/// Shows a wrong code in each of the sessions; what it was answered with.
async fn guess(kit: &Kit, ann: &Enrolled, pending: &Person, times: usize) -> Vec<String> {
    let mut answers = Vec::new();
    for _ in 0..times {
        answers.push(reason(complete(kit, &pending.caller, wrong(kit, &ann.secret)).await));
    }
    answers
}

async fn wrong_codes_are_counted_and_waited_for(kit: Kit) {
    let ann = enrol(&kit, &kit.founder("ann@example.com").await).await;
    let pending = by_mail(&kit, &ann.person).await;
    assert_eq!(guess(&kit, &ann, &pending, 5).await, ["WRONG_CODE"; 5]);
    // now the right one is not looked at either, in no session and after no restart
    let refused = complete(&kit, &pending.caller, ann.digits(&kit, 0)).await.err().unwrap();
    assert_eq!((refused.reason(), refused.retry_after()), ("TOO_MANY_CODES", Some(Duration::from_secs(30))));
    let another = by_mail(&kit, &ann.person).await;
    assert_eq!(guess(&kit, &ann, &another, 2).await, ["TOO_MANY_CODES"; 2]);
    assert_eq!(reason(step_up(&kit, &ann.person.caller, ann.digits(&kit, 0)).await), "TOO_MANY_CODES");
    told(&kit, "ann@example.com", "factor.guessed").await;
    kit.system.root.kill();
    let after = kit.another_tree().await;
    let shown = crate::api::factors::CompleteMfa { code: ann.digits(&kit, 0) };
    let shown = after.tenant(pending.tenant).call(pending.caller.clone(), kit.meta(), shown).await;
    assert_eq!(reason(shown), "TOO_MANY_CODES");
    // each further one doubles the wait
    kit.clock.advance(Duration::from_secs(30));
    let once_more =
        [guess_at(&after, &kit, &ann, &pending).await, guess_at(&after, &kit, &ann, &pending).await];
    assert_eq!(once_more, ["WRONG_CODE", "TOO_MANY_CODES"]);
    kit.clock.advance(Duration::from_secs(59));
    assert_eq!(guess_at(&after, &kit, &ann, &pending).await, "TOO_MANY_CODES");
    kit.clock.advance(Duration::from_secs(1));
    let right = crate::api::factors::CompleteMfa { code: ann.digits(&kit, 0) };
    after.tenant(pending.tenant).call(pending.caller.clone(), kit.meta(), right).await.unwrap();
}

async fn guess_at(system: &crate::System, kit: &Kit, ann: &Enrolled, pending: &Person) -> String {
    let shown = crate::api::factors::CompleteMfa { code: wrong(kit, &ann.secret) };
    reason(system.tenant(pending.tenant).call(pending.caller.clone(), kit.meta(), shown).await)
}

#[tokio::test]
async fn wrong_codes_are_counted_and_waited_for_on_sim() {
    wrong_codes_are_counted_and_waited_for(Kit::sim().await).await;
}

#[tokio::test]
async fn wrong_codes_are_counted_and_waited_for_on_sqlite() {
    wrong_codes_are_counted_and_waited_for(Kit::sqlite().await).await;
}

#[tokio::test]
async fn whoever_guesses_digits_does_not_keep_out_whoever_has_the_paper() {
    let kit = Kit::sim().await;
    let ann = enrol(&kit, &kit.founder("ann@example.com").await).await;
    let pending = by_mail(&kit, &ann.person).await;
    guess(&kit, &ann, &pending, 6).await;
    complete(&kit, &pending.caller, ann.paper(0)).await.unwrap();
}

#[tokio::test]
async fn a_wrong_code_is_in_the_audit_and_a_right_one_ends_the_count() {
    let kit = Kit::sim().await;
    let ann = enrol(&kit, &kit.founder("ann@example.com").await).await;
    for _ in 0..3 {
        let pending = by_mail(&kit, &ann.person).await;
        assert_eq!(guess(&kit, &ann, &pending, 4).await, ["WRONG_CODE"; 4]);
        complete(&kit, &pending.caller, ann.digits(&kit, 0)).await.unwrap();
        kit.clock.advance(Duration::from_secs(30));
    }
    let page = kit.call(&ann.person.caller, QueryAudit::default()).await.unwrap();
    let wrong =
        page.records.iter().filter(|r| r.method == "AuthService/CompleteMfa" && r.result == "WRONG_CODE");
    assert_eq!(wrong.count(), 12);
}
