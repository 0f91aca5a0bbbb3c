//! A trial that is asked for again is the same trial.

use futures_util::future::join;

use super::*;
use crate::api::alert::Tried;

#[tokio::test]
async fn a_trial_that_is_asked_for_again_is_answered_as_the_first_time_and_nothing_is_sent() {
    for kit in [Kit::sim().await, Kit::sqlite().await] {
        let ann = owner(&kit).await;
        let made = put(&kit, &ann, webhook(URL)).await.unwrap();
        let ask = async |key: u8| kit.system.try_channel(&ann.caller, kit.keyed(key, 1), made.id).await;
        // the second comes while the first is under way, or after it
        let both = join(ask(7), ask(7)).await;
        assert_eq!(both, (Ok(Tried::TAKEN), Ok(Tried::TAKEN)));
        assert_eq!(ask(7).await, Ok(Tried::TAKEN));
        assert_eq!(kit.mailbox.count_of(URL, "alert.alert.test"), 1);
        assert_eq!(ask(8).await.unwrap_err().reason(), "TRIED_JUST_NOW", "another request");
        // nor is it tried anew once it may be
        kit.clock.advance(Duration::from_secs(60));
        assert_eq!(ask(7).await, Ok(Tried::TAKEN));
        kit.mailbox.refuses.store(true, Ordering::SeqCst);
        let refused = ask(8).await.unwrap();
        assert!(!refused.taken && refused.why.contains("refused by the test"), "{refused:?}");
        kit.mailbox.refuses.store(false, Ordering::SeqCst);
        assert_eq!(ask(8).await, Ok(refused));
        assert_eq!(kit.mailbox.count_of(URL, "alert.alert.test"), 1);
    }
}

/// Whoever would have written down what it said is gone.
#[tokio::test]
async fn what_is_kept_of_a_trial_says_nothing_of_where_the_channel_leads() {
    let kit = Kit::sim().await;
    let ann = owner(&kit).await;
    let made = put(&kit, &ann, webhook(URL)).await.unwrap();
    let ask = || SendTestAlert { channel: made.id };
    let tenant = kit.system.tenant(ann.caller.tenant());
    let first = tenant.call(ann.caller.clone(), kit.keyed(7, 1), ask()).await.unwrap();
    assert!(first.mail.is_some() && first.tried.is_none());
    let again = tenant.call(ann.caller.clone(), kit.keyed(7, 1), ask()).await.unwrap();
    assert!(again.mail.is_none() && again.tried.is_none() && again.updated_at == first.updated_at);
    let kept: Vec<ocmt_store::tables::IdempotencyRow> = rows(&kit, &ann, Filter::all()).await;
    assert!(!kept.is_empty());
    for row in kept {
        let kept = String::from_utf8_lossy(&row.response).into_owned();
        assert!(!kept.contains("xyzzy") && !kept.contains(KEY), "{kept}");
    }
}
