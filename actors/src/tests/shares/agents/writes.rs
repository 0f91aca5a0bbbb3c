//! What an agent writes by an approval: one version, by the key that was approved, for its time.

use std::time::Duration;

use ocmt_crypto::{
    shared::{Acts, Basis, SharedAct, SharedPlace, SharedWrite, WriteGrant},
    sign::SigningKey,
    vault::RotationMode,
};
use ocmt_types::{Clock as _, IdGen, RandomIds, ShareId};

use super::{Agent, DAY_MS, HOUR_MS, agent, approval, approved, ask, asked_of, wish_of};
use crate::{
    ActorError,
    api::{
        capabilities::{ApproveCapability, CapabilityState, RequestCapability},
        programs::RevokeProgramToken,
        shares::{
            Permission::{Delete, List, Read, Write},
            SendSharedWrite, SharedWriteSent,
        },
        vault::{FileSharedWrites, ListSharedWrites, SharedWriteItem, Write as Change},
    },
    tests::{
        kit::Kit,
        shares::{Side, get, reason, revoke, three, value},
        vault::{put, rotate, store},
    },
};

/// What Ann's device adds to an approval: her word to the agent's signing key about the version that is there.
pub(super) async fn writing(
    kit: &Kit,
    ann: &Side,
    agent: &Agent,
    give: ApproveCapability,
) -> ApproveCapability {
    let ids: &dyn IdGen = &RandomIds;
    let share: ShareId = ids.id();
    let found = get(kit, ann.caller(), ann.vault(), ann.id("granted")).await.unwrap();
    let word = WriteGrant {
        share,
        basis: Basis::of(ann.open.scope(), &found.objects[0]),
        acts: Acts { write: true, delete: false },
        inbox: ann.open.keyring().inbox.public(),
        taker: agent.signs.verify_key(),
    };
    ApproveCapability { share: Some(share), write_grants: vec![word.sign(ann.signing())], ..give }
}

/// What the agent makes of what the node shows it, signed by `signs`.
async fn made(kit: &Kit, ann: &Side, agent: &Agent, act: &SharedAct, signs: &SigningKey) -> SendSharedWrite {
    let asked = asked_of(kit, &agent.caller).await;
    let right = asked.into_iter().find_map(|one| one.right).expect("a right that is in force");
    let grant = WriteGrant::open(&right.write_grant, &ann.signing().verify_key()).unwrap();
    assert_eq!(grant.taker, agent.signs.verify_key());
    let place = SharedPlace { share: grant.share, basis: grant.basis, sequence: right.next_sequence };
    let item = SharedWrite::seal(&place, act, &grant.inbox, signs, &mut rand::rng()).unwrap();
    SendSharedWrite { share: grant.share, item }
}

async fn send(kit: &Kit, ann: &Side, agent: &Agent, text: &[u8]) -> Result<SharedWriteSent, ActorError> {
    let send = made(kit, ann, agent, &value(text), &agent.signs).await;
    kit.call(&agent.caller, send).await
}

async fn waiting(kit: &Kit, ann: &Side) -> Vec<SharedWriteItem> {
    let all = ListSharedWrites { vault: ann.vault(), after: None, limit: 0 };
    kit.call(ann.caller(), all).await.unwrap().writes
}

async fn an_agent_writes_one_version_of_what_was_approved(kit: Kit) {
    let (mut ann, bob, _) = three(&kit).await;
    let granted = ann.id("granted");
    let (one, other) = (agent(&kit, &ann, DAY_MS).await, agent(&kit, &ann, DAY_MS).await);
    let given = approved(&kit, &ann, &one, &[Write]).await;
    assert!(given.state == CapabilityState::Approved && given.right.is_none(), "that is for the agent");
    let seen = asked_of(&kit, ann.caller()).await;
    assert!(seen.iter().all(|one| one.right.is_none()) && seen[0].share.is_some());
    // to write is not to read nor to list
    assert_eq!(reason(get(&kit, &one.caller, ann.vault(), granted).await), "PERMISSION_DENIED");
    // by its own key, for a new value, by itself
    let stranger = SigningKey::generate(&mut rand::rng());
    let forged = made(&kit, &ann, &one, &value(b"forged"), &stranger).await;
    assert_eq!(reason(kit.call(&one.caller, forged).await), "INVALID_ARGUMENT");
    let deletes = made(&kit, &ann, &one, &SharedAct::Delete, &one.signs).await;
    assert_eq!(reason(kit.call(&one.caller, deletes).await), "PERMISSION_DENIED");
    let good = made(&kit, &ann, &one, &value(b"first"), &one.signs).await;
    for by in [&other.caller, bob.caller(), ann.caller()] {
        assert_eq!(kit.call(by, good.clone()).await.err(), Some(ActorError::NotFound));
    }
    assert!(waiting(&kit, &ann).await.is_empty());
    // it waits for its owner's device, and a newer one takes its place
    kit.call(&one.caller, good.clone()).await.unwrap();
    assert_eq!(reason(kit.call(&one.caller, good).await), "CHANGED_MEANWHILE", "the same once more");
    let last = send(&kit, &ann, &one, b"second").await.unwrap();
    let sent = waiting(&kit, &ann).await;
    assert_eq!(sent.iter().map(|one| one.id).collect::<Vec<_>>(), [last.id]);
    let right = asked_of(&kit, &one.caller).await.remove(0).right.unwrap();
    assert!(right.waits && right.next_sequence == 2);
    // once it is filed the approval is used up, though its time is not over
    let late = made(&kit, &ann, &one, &value(b"third"), &one.signs).await;
    let (change, write) = put(&ann.open, "granted", b"second");
    let file = FileSharedWrites { change: write, writes: vec![last.id], renewals: Vec::new() };
    kit.call(ann.caller(), file).await.unwrap();
    ann.open.apply(change).unwrap();
    assert!(waiting(&kit, &ann).await.is_empty());
    assert_eq!(reason(kit.call(&one.caller, late).await), "SHARE_ENDED");
    let shown = asked_of(&kit, &one.caller).await.remove(0);
    assert!(shown.state == CapabilityState::Expired && shown.right.is_none(), "nor does it count any more");
    // and it is asked for anew
    kit.clock.advance(Duration::from_secs(1));
    approved(&kit, &ann, &one, &[Write]).await;
    send(&kit, &ann, &one, b"third").await.unwrap();
}

#[tokio::test]
async fn an_agent_writes_one_version_of_what_was_approved_on_sim() {
    an_agent_writes_one_version_of_what_was_approved(Kit::sim().await).await;
}

#[tokio::test]
async fn an_agent_writes_one_version_of_what_was_approved_on_postgres() {
    an_agent_writes_one_version_of_what_was_approved(Kit::postgres().await).await;
}

#[tokio::test]
async fn of_two_requests_the_agent_writes_by_the_one_of_the_present_version() {
    let kit = Kit::sim().await;
    let (mut ann, _, _) = three(&kit).await;
    let granted = ann.id("granted");
    let agent = agent(&kit, &ann, DAY_MS).await;
    let first = kit.call(&agent.caller, wish_of(&agent, granted, &[Write])).await.unwrap();
    kit.clock.advance(Duration::from_secs(1));
    approved(&kit, &ann, &agent, &[Write]).await;
    store(&kit, &ann.person, &mut ann.open, "granted", b"newer").await;
    let give = approval(&kit, &ann, &agent, first.id, &[Write]).await;
    kit.call(ann.caller(), give).await.unwrap();
    let shown = asked_of(&kit, &agent.caller).await;
    assert_eq!(shown.iter().map(|one| one.right.is_some()).collect::<Vec<_>>(), [false, true]);
    send(&kit, &ann, &agent, b"newest").await.unwrap();
    // it has that by the one key, and asks with another
    let again = kit.call(&agent.caller, wish_of(&agent, granted, &[Write])).await;
    assert_eq!(reason(again), "HELD_ALREADY");
    let another = Agent { signs: SigningKey::generate(&mut rand::rng()), ..agent };
    kit.call(&another.caller, wish_of(&another, granted, &[Write])).await.unwrap();
}

#[tokio::test]
async fn writing_ends_when_what_was_sent_is_dropped_and_with_the_vaults_keys() {
    let kit = Kit::sim().await;
    let (mut ann, _, _) = three(&kit).await;
    let agent = agent(&kit, &ann, DAY_MS).await;
    approved(&kit, &ann, &agent, &[Read, Write]).await;
    let sent = send(&kit, &ann, &agent, b"dropped").await.unwrap();
    let (puts, deletes, manifest) = (Vec::new(), Vec::new(), Vec::new());
    let change = Change { vault: ann.vault(), puts, deletes, manifest };
    let dropped = FileSharedWrites { change, writes: vec![sent.id], renewals: Vec::new() };
    kit.call(ann.caller(), dropped).await.unwrap();
    let shown = asked_of(&kit, &agent.caller).await.remove(0);
    assert!(shown.state == CapabilityState::Approved && shown.right.is_none());
    assert_eq!(shown.permissions, [Read], "it reads on");
    get(&kit, &agent.caller, ann.vault(), ann.id("granted")).await.unwrap();
    kit.clock.advance(Duration::from_secs(1));
    approved(&kit, &ann, &agent, &[Write]).await;
    send(&kit, &ann, &agent, b"waits").await.unwrap();
    let person = ann.person.clone();
    rotate(&kit, &person, &mut ann.open, RotationMode::Rekey, true).await.unwrap();
    assert!(waiting(&kit, &ann).await.is_empty(), "nobody opens it any more");
    let shown = asked_of(&kit, &agent.caller).await.remove(0);
    assert!(shown.state == CapabilityState::Expired && shown.right.is_none());
}

#[tokio::test]
async fn what_an_agent_sent_ends_with_the_approval_and_with_its_token() {
    let kit = Kit::sim().await;
    let (ann, bob, _) = three(&kit).await;
    let agent = agent(&kit, &ann, DAY_MS).await;
    // its owner takes it back, and nobody else does
    let share = approved(&kit, &ann, &agent, &[Read, Write]).await.share.unwrap();
    send(&kit, &ann, &agent, b"taken back").await.unwrap();
    assert_eq!(revoke(&kit, &bob, share).await.unwrap_err(), ActorError::NotFound);
    assert_eq!(revoke(&kit, &ann, share).await.unwrap().rekey, [ann.id("granted").0]);
    assert!(waiting(&kit, &ann).await.is_empty());
    assert_eq!(reason(get(&kit, &agent.caller, ann.vault(), ann.id("granted")).await), "NOT_FOUND");
    kit.clock.advance(Duration::from_secs(1));
    approved(&kit, &ann, &agent, &[Write]).await;
    let late = made(&kit, &ann, &agent, &value(b"late"), &agent.signs).await;
    kit.clock.advance(Duration::from_millis(u64::try_from(HOUR_MS).unwrap()) - Duration::from_secs(1));
    send(&kit, &ann, &agent, b"in time").await.unwrap();
    kit.clock.advance(Duration::from_secs(1));
    assert_eq!(reason(kit.call(&agent.caller, late).await), "SHARE_ENDED");
    let shown = asked_of(&kit, &agent.caller).await;
    assert!(shown[0].state == CapabilityState::Expired && shown[0].right.is_none());
    let signed_in = kit.sign_in(&ann.person, crate::api::auth::LinkPurpose::SignIn).await;
    let ann = Side { person: signed_in, ..ann };
    assert!(waiting(&kit, &ann).await.is_empty(), "what waited went with it");
    // a token takes along what it sent
    kit.clock.advance(Duration::from_secs(1));
    approved(&kit, &ann, &agent, &[Write]).await;
    send(&kit, &ann, &agent, b"again").await.unwrap();
    assert_eq!(waiting(&kit, &ann).await.len(), 1);
    kit.call(ann.caller(), RevokeProgramToken { token: agent.token }).await.unwrap();
    assert!(waiting(&kit, &ann).await.is_empty());
}

#[tokio::test]
async fn writing_is_approved_with_the_owners_word_to_the_key_that_asked_and_no_other() {
    let kit = Kit::sim().await;
    let (mut ann, bob, _) = three(&kit).await;
    let granted = ann.id("granted");
    let agent = agent(&kit, &ann, DAY_MS).await;
    // whoever asks to write says the key that it signs with, and nobody else does
    assert_eq!(reason(ask(&kit, &agent.caller, granted, &[Write]).await), "INVALID_ARGUMENT");
    let needless = RequestCapability { sign_key: Some([1; 32]), ..wish_of(&agent, granted, &[Read]) };
    assert_eq!(reason(kit.call(&agent.caller, needless).await), "INVALID_ARGUMENT");
    let deletes = wish_of(&agent, granted, &[Write, Delete]);
    assert_eq!(reason(kit.call(&agent.caller, deletes).await), "PERMISSION_DENIED");
    let asked = kit.call(&agent.caller, wish_of(&agent, granted, &[Write, List])).await.unwrap();
    assert_eq!(asked.program.unwrap().sign_key, Some(agent.signs.verify_key().0));
    let good = approval(&kit, &ann, &agent, asked.id, &[Write, List]).await;
    let another = Agent { signs: SigningKey::generate(&mut rand::rng()), ..agent };
    let of_another = approval(&kit, &ann, &another, asked.id, &[Write, List]).await;
    let by_bob = {
        let found = get(&kit, ann.caller(), ann.vault(), granted).await.unwrap();
        let word = WriteGrant {
            share: good.share.unwrap(),
            basis: Basis::of(ann.open.scope(), &found.objects[0]),
            acts: Acts { write: true, delete: false },
            inbox: ann.open.keyring().inbox.public(),
            taker: another.signs.verify_key(),
        };
        ApproveCapability { write_grants: vec![word.sign(bob.signing())], ..good.clone() }
    };
    let unsaid = ApproveCapability { share: None, write_grants: Vec::new(), ..good.clone() };
    let no_word = ApproveCapability { write_grants: Vec::new(), ..good.clone() };
    let no_id = ApproveCapability { share: None, ..good.clone() };
    // less than was asked takes no word
    let only_list = ApproveCapability { permissions: vec![List], ..good.clone() };
    for wrong in [of_another, by_bob, unsaid, no_word, no_id, only_list] {
        assert_eq!(reason(kit.call(ann.caller(), wrong).await), "INVALID_ARGUMENT");
    }
    // of the version that is there when it is given
    store(&kit, &ann.person, &mut ann.open, "granted", b"newer").await;
    assert_eq!(reason(kit.call(ann.caller(), good).await), "INVALID_ARGUMENT");
    assert!(waiting(&kit, &ann).await.is_empty());
    assert!(kit.clock.now() < asked.expires_at, "it waits still");
}
