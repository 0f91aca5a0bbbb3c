//! What a channel is worth once it was changed, what its rows are bound to, and what is never held back or told whole.

use ocmt_crypto::audit::{Actor, AuditRecord, Outcome};
use ocmt_types::Ownership;

use super::{super::raise, *};
use crate::api::alert::Tried;

fn record(kit: &Kit, who: &Person, action: &str, outcome: Outcome) -> AuditRecord {
    AuditRecord {
        tenant: who.tenant,
        at: kit.clock.now(),
        request: ocmt_store::testing::id(1),
        actor: Actor::User(who.user),
        action: action.to_owned(),
        object: String::new(),
        outcome,
        details: vec![("long".to_owned(), "x".repeat(512))],
    }
}

/// It took a trial, as it was then.
fn took(made: &ChannelInfo, updated_at: ocmt_types::Timestamp) -> ConfirmChannel {
    ConfirmChannel { channel: made.id, updated_at, tried: Tried::TAKEN, request: None }
}

async fn own(kit: &Kit, who: &Person) -> Ownership {
    let own = kit.store.cluster().owner(who.tenant).await.unwrap().unwrap();
    Ownership { tenant: who.tenant, incarnation: own.incarnation.unwrap(), epoch: own.epoch }
}

/// The same thing happens so many times at one moment; the notices that were written of it.
async fn raised(kit: &Kit, who: &Person, action: &str, outcome: Outcome, times: usize) -> Vec<Notice> {
    let mut tx = kit.store.fenced(own(kit, who).await).await.unwrap();
    for _ in 0..times {
        let record = record(kit, who, action, outcome);
        raise::raise(&mut tx, &kit.system.env, &record, kit.clock.now()).await.unwrap();
    }
    tx.commit().await.unwrap();
    rows(kit, who, Notice::kind.eq(format!("alert.{action}"))).await
}

#[tokio::test]
async fn of_a_recovery_every_step_is_told_and_of_all_else_the_first() {
    let kit = Kit::sim().await;
    let ann = owner(&kit).await;
    put(&kit, &ann, webhook(URL)).await.unwrap();
    for action in ["RecoveryService/OpenCeremony", "ceremony.lock"] {
        assert_eq!(raised(&kit, &ann, action, Outcome::Allowed, 3).await.len(), 3, "{action}");
    }
    let told = raised(&kit, &ann, "UserService/SetRole", Outcome::Allowed, 3).await;
    assert_eq!(told.len(), 1);
    // of a value, so much that a message holds it
    let facts: Vec<(String, String)> = serde_json::from_slice(&told[0].body).unwrap();
    let long = facts.iter().find(|(name, _)| name == "long").unwrap();
    assert_eq!(long.1.chars().count(), 200);
    // somebody tries, and is refused: that is told like anything else, and held back with what was told just now
    assert_eq!(raised(&kit, &ann, "RecoveryService/ApproveCeremony", Outcome::Denied, 3).await.len(), 1);
    assert_eq!(raised(&kit, &ann, "RecoveryService/OpenCeremony", Outcome::Denied, 3).await.len(), 3);
    // what was refused changed nothing
    assert!(raised(&kit, &ann, "UserService/RemoveUser", Outcome::Denied, 1).await.is_empty());
    assert!(raised(&kit, &ann, "RecoveryService/CompleteCeremony", Outcome::Denied, 1).await.is_empty());
}

#[tokio::test]
async fn a_channel_hears_of_recoveries_whatever_it_is_for_once_it_was_tried() {
    let kit = Kit::sim().await;
    let ann = owner(&kit).await;
    let narrow = PutChannel { actions: vec!["x.y".to_owned()], ..webhook(URL) };
    let made = put(&kit, &ann, narrow).await.unwrap();
    let opened = async || raised(&kit, &ann, "RecoveryService/OpenCeremony", Outcome::Allowed, 1).await.len();
    assert_eq!(opened().await, 0);
    kit.call(&ann.caller, took(&made, made.updated_at)).await.unwrap();
    assert_eq!(opened().await, 1);
}

#[tokio::test]
async fn owners_alone_take_a_channel_away() {
    let kit = Kit::sim().await;
    let ann = owner(&kit).await;
    let made = put(&kit, &ann, webhook(URL)).await.unwrap();
    for (email, role) in [("bob@example.com", Role::Member), ("cy@example.com", Role::Admin)] {
        let other = kit.member(&ann, email, role).await;
        let refused = kit.call(&other.caller, DeleteChannel { channel: made.id }).await.unwrap_err();
        assert_eq!(refused.reason(), "PERMISSION_DENIED", "{email}");
    }
    kit.call(&ann.caller, DeleteChannel { channel: made.id }).await.expect("its owner");
}

#[tokio::test]
async fn a_trial_says_nothing_of_a_channel_that_was_led_elsewhere_since() {
    let kit = Kit::sim().await;
    let ann = owner(&kit).await;
    let made = put(&kit, &ann, webhook(URL)).await.unwrap();
    let trial = kit.call(&ann.caller, SendTestAlert { channel: made.id }).await.unwrap();
    let confirm = |at| took(&made, at);
    let verified = async || kit.call(&ann.caller, ListChannels).await.unwrap()[0].verified_at.is_some();
    let lead_to = async |url: &str| {
        kit.clock.advance(Duration::from_secs(1));
        put(&kit, &ann, PutChannel { channel: Some(made.id), ..webhook(url) }).await.unwrap()
    };
    let led = lead_to("https://elsewhere.example.org/").await;
    kit.call(&ann.caller, confirm(trial.updated_at)).await.unwrap();
    assert!(!verified().await, "what was tried was another target");
    let refused = Tried { taken: false, why: "no".to_owned() };
    kit.call(&ann.caller, ConfirmChannel { tried: refused, ..confirm(led.updated_at) }).await.unwrap();
    assert!(!verified().await, "it took nothing");
    kit.call(&ann.caller, confirm(led.updated_at)).await.unwrap();
    assert!(verified().await);
    lead_to("https://thief.example.org/").await;
    assert!(!verified().await, "a target that nobody tried");
}

#[tokio::test]
async fn channels_that_still_hear_of_a_change_are_bounded_and_nobodys_to_change() {
    let kit = Kit::sim().await;
    let ann = owner(&kit).await;
    let made = put(&kit, &ann, webhook(URL)).await.unwrap();
    let lead = async |n: usize| {
        let url = format!("https://h{n}.example.org/");
        put(&kit, &ann, PutChannel { channel: Some(made.id), ..webhook(&url) }).await
    };
    for n in 1..64 {
        lead(n).await.unwrap();
    }
    assert_eq!(lead(64).await.unwrap_err().reason(), "TOO_MANY_CHANNELS");
    assert_eq!(rows::<AlertChannel>(&kit, &ann, Filter::all()).await.len(), 64);
    let ending: Vec<AlertChannel> = rows(&kit, &ann, AlertChannel::ends_at.gt(Some(kit.clock.now()))).await;
    let channel = ending[0].channel_id;
    let refused = kit.call(&ann.caller, DeleteChannel { channel }).await.unwrap_err();
    assert_eq!(refused, ActorError::NotFound, "who leads a channel away takes its last word too");
}

/// Whoever writes the database leads no channel to where another one leads.
#[tokio::test]
async fn a_target_opens_in_its_own_row_alone() {
    let kit = Kit::sim().await;
    let ann = owner(&kit).await;
    let one = put(&kit, &ann, webhook(URL)).await.unwrap();
    let two = put(&kit, &ann, webhook("https://two.example.org/")).await.unwrap();
    let all: Vec<AlertChannel> = rows(&kit, &ann, Filter::all()).await;
    let row = |id| all.iter().find(|row| row.channel_id == id).unwrap().clone();
    let mut tx = kit.store.fenced(own(&kit, &ann).await).await.unwrap();
    assert!(tx.update(&AlertChannel { wrapped: row(two.id).wrapped, ..row(one.id) }).await.unwrap());
    tx.commit().await.unwrap();
    let tried = kit.call(&ann.caller, SendTestAlert { channel: one.id }).await.err().unwrap();
    assert_eq!(tried.reason(), "SEALING_KEY");
    kit.call(&ann.caller, SendTestAlert { channel: two.id }).await.expect("its own opens");
}

#[tokio::test]
async fn a_channel_that_was_just_named_is_known_to_the_next_record() {
    let kit = Kit::sim().await;
    let ann = owner(&kit).await;
    let bob = kit.member(&ann, "bob@example.com", Role::Member).await;
    // this tenant's channels are in memory: there are none
    kit.call(&ann.caller, GetTenant).await.unwrap();
    let made = put(&kit, &ann, webhook(URL)).await.unwrap();
    something_happens(&kit, &ann, &bob, Role::Admin).await;
    told_of(&kit, URL, "UserService/SetRole").await;
    kit.call(&ann.caller, DeleteChannel { channel: made.id }).await.unwrap();
    kit.clock.advance(COOLDOWN + Duration::from_secs(1));
    let ann = kit.sign_in(&ann, LinkPurpose::SignIn).await;
    let before = rows::<Notice>(&kit, &ann, Notice::kind.eq("alert.UserService/SetRole".to_owned())).await;
    something_happens(&kit, &ann, &bob, Role::Member).await;
    let after = rows::<Notice>(&kit, &ann, Notice::kind.eq("alert.UserService/SetRole".to_owned())).await;
    assert_eq!(before.len(), after.len(), "one that is deleted is told of what is none of its last words");
}

#[tokio::test]
async fn whoever_changes_what_becomes_of_the_audit_is_told_of() {
    let kit = Kit::sim().await;
    let ann = owner(&kit).await;
    put(&kit, &ann, webhook(URL)).await.unwrap();
    for action in ["SetAuditRetention", "SetAuditStream", "RemoveAuditStream"] {
        let action = format!("AuditService/{action}");
        assert_eq!(raised(&kit, &ann, &action, Outcome::Allowed, 1).await.len(), 1, "{action}");
    }
}

/// A host of the tenant's containers hears of no change: what it has seen it does not keep.
#[tokio::test]
async fn whoever_does_not_own_the_tenant_keeps_no_channels() {
    let a = Kit::sim().await;
    let b = a.beside(2).await;
    let ann = owner(&a).await;
    let own = own(&a, &ann).await;
    let raised = async || {
        let mut tx = a.store.fenced(own).await.unwrap();
        let record = record(&a, &ann, "email.change", Outcome::Allowed);
        let raised = raise::raise(&mut tx, &b.system.env, &record, a.clock.now()).await.unwrap();
        tx.rollback().await.unwrap();
        raised
    };
    assert!(!raised().await, "there is none");
    put(&a, &ann, webhook(URL)).await.unwrap();
    assert!(raised().await, "it goes by what it saw before");
}
