//! Another address for an account, by the command line's client over the real edge and with real letters.

use std::time::Duration;

use ocmt_client::{auth::Purpose, tenant::PolicyChange};
use ocmt_testkit::TestNode;

const CONFIRM: &str = "Confirm your new address";
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn another_address_takes_the_place_of_the_old_one_after_its_delay() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let new = format!("new-{}", ada.email);
    // stopped once
    ada.client.request_email_change(&new).await.unwrap();
    let link = node.link(&new, CONFIRM).await.unwrap();
    let confirmed = ada.client.confirm_email_change(&link).await.unwrap();
    let pending = ada.client.email_change().await.unwrap().unwrap();
    assert_eq!((&pending.email, pending.effective_at), (&new, confirmed.effective_at));
    ada.client.cancel_email_change().await.unwrap();
    assert_eq!(ada.client.email_change().await.unwrap(), None);
    let again = ada.client.confirm_email_change(&link).await.err().unwrap();
    assert_eq!(again.reason().as_deref(), Some("BAD_LINK"));
    // and then not
    let delay = Some(Duration::from_millis(300));
    let quick = PolicyChange { email_change_delay: delay, ..PolicyChange::default() };
    let tenant = ada.client.change_policy(&quick).await.unwrap();
    assert_eq!(tenant.policy.email_change_delay_ms, Some(300));
    ada.client.request_email_change(&new).await.unwrap();
    let link = node.link(&new, CONFIRM).await.unwrap();
    ada.client.confirm_email_change(&link).await.unwrap();
    let counts = async {
        while ada.client.who_am_i().await.unwrap().email != new {
            tokio::time::sleep(Duration::from_millis(50)).await; // why: the pause between two looks at a level, bounded by the timeout below
        }
    };
    tokio::time::timeout(PATIENCE, counts).await.expect("the new address never counted");
    let client = node.local().client().await.unwrap();
    let pending = client.request_link(&new, None, Purpose::SignIn).await.unwrap();
    let link = node.link(&new, "sign-in link").await.unwrap();
    let signed_in = pending.finish(&link, "e2e").await.unwrap();
    assert_eq!(signed_in.who_am_i().await.unwrap().user, ada.client.who_am_i().await.unwrap().user);
}
