//! Agents: a program's ceiling is to read and to list what was handed to it, and more of that only by its owner's word.

mod ends;
mod writes;

use std::time::Duration;

use futures_util::future::join_all;
use ocmt_crypto::{
    datakey::ObjectPlace,
    grant,
    object::open_body,
    seal::SealSecretKey,
    sign::{SigningKey, VerifyKey},
};
use ocmt_store::tables::ShareGrant;
use ocmt_types::{CapabilityId, Digest32, ProgramTokenId};

use super::{HOUR_MS, Side, approving, capabilities::wish, get, given, list, offer, reason, revoke, three};
use crate::{
    ActorError, Caller,
    api::{
        auth::LinkPurpose,
        capabilities::{
            ApproveCapability, CapabilityInfo, CapabilityState, DenyCapability, ListCapabilities,
            RequestCapability,
        },
        programs::{CreateProgramToken, EntryGrant, RevokeProgramToken},
        shares::Permission::{self, Admin, Delete, List, Read, Share, Write},
        vault::{DeleteEntry, PutEntry, Write as Change},
    },
    tests::{
        kit::{Kit, until},
        vault::{put, store},
    },
};

const DAY_MS: i64 = 24 * 3_600_000;
const ALL: [Permission; 6] = [Read, List, Write, Delete, Admin, Share];

/// A program of somebody's, made for the entry `kept`.
struct Agent {
    key: SealSecretKey,
    signs: SigningKey,
    token: ProgramTokenId,
    caller: Caller,
}

/// What a device makes of one of its own entries for a key.
async fn sealed(kit: &Kit, ann: &Side, name: &str, key: &SealSecretKey) -> EntryGrant {
    let found = get(kit, ann.caller(), ann.vault(), ann.id(name)).await.unwrap();
    let object = &found.objects[0];
    let (place, data_key) = (object.place(ann.open.scope()), ann.open.data_key(object).unwrap());
    let sealed = grant::seal(&place, &data_key, &key.public(), ann.signing(), &mut rand::rng()).unwrap();
    EntryGrant { object: object.object_id, version: object.version, sealed }
}

async fn agent(kit: &Kit, ann: &Side, lifetime_ms: i64) -> Agent {
    let key = SealSecretKey::generate(&mut rand::rng());
    let ask = CreateProgramToken {
        name: "agent".to_owned(),
        vault: ann.vault(),
        program_key: key.public().0,
        grants: vec![sealed(kit, ann, "kept", &key).await],
        lifetime_ms,
        asked_by: Digest32(rand::random()),
    };
    let made = kit.call(ann.caller(), ask).await.unwrap();
    let caller = kit.authenticate(made.secret.expose()).await.unwrap();
    Agent { key, signs: SigningKey::generate(&mut rand::rng()), token: made.id, caller }
}

async fn ask(kit: &Kit, by: &Caller, of: Digest32, may: &[Permission]) -> Result<CapabilityInfo, ActorError> {
    kit.call(by, wish(of, may)).await
}

/// What an agent asks, with its signing key if it is to write.
fn wish_of(agent: &Agent, of: Digest32, may: &[Permission]) -> RequestCapability {
    let sign_key = may.contains(&Write).then(|| agent.signs.verify_key().0);
    RequestCapability { sign_key, ..wish(of, may) }
}

/// What Ann's device makes of an agent's request about `granted`.
async fn approval(
    kit: &Kit,
    ann: &Side,
    agent: &Agent,
    capability: CapabilityId,
    may: &[Permission],
) -> ApproveCapability {
    let grants = match may.contains(&Read) {
        true => vec![sealed(kit, ann, "granted", &agent.key).await],
        false => Vec::new(),
    };
    let give = approving(capability, may, grants);
    if may.contains(&Write) { writes::writing(kit, ann, agent, give).await } else { give }
}

async fn approved(kit: &Kit, ann: &Side, agent: &Agent, may: &[Permission]) -> CapabilityInfo {
    let asked = kit.call(&agent.caller, wish_of(agent, ann.id("granted"), may)).await.unwrap();
    let give = approval(kit, ann, agent, asked.id, may).await;
    kit.call(ann.caller(), give).await.unwrap()
}

async fn asked_of(kit: &Kit, by: &Caller) -> Vec<CapabilityInfo> {
    kit.call(by, ListCapabilities::default()).await.unwrap().capabilities
}

/// One act of each kind on Ann's entry `granted`, each as good as whoever had stolen Ann's vault keys could make it.
async fn acts(kit: &Kit, by: &Caller, ann: &Side, carol: &Side, held: Permission) -> Vec<Permission> {
    let (vault, granted) = (ann.vault(), ann.id("granted"));
    let mut done = Vec::new();
    let mut note = |kind: Permission, answer: Result<bool, ActorError>| match answer {
        Ok(true) => done.push(kind),
        Ok(false) => {}
        Err(error) => {
            assert!(["NOT_FOUND", "PERMISSION_DENIED"].contains(&error.reason()), "{kind:?} {error:?}");
        }
    };
    note(Read, get(kit, by, vault, granted).await.map(|_| true));
    let sees =
        |page: crate::api::vault::EntryPage| page.entries.iter().any(|head| head.leaf.object_id == granted);
    note(List, list(kit, by, vault).await.map(sees));
    let (_, write) = put(&ann.open, "granted", b"written by somebody");
    note(Write, kit.call(by, PutEntry(write)).await.map(|_| true));
    let mut edit = ann.open.edit();
    edit.delete(&ocmt_crypto::entry::EntryName::new("granted").unwrap()).unwrap();
    let change = edit.finish().unwrap();
    let delete = Change { vault, puts: Vec::new(), deletes: vec![(granted, 1)], manifest: change.manifest };
    note(Delete, kit.call(by, DeleteEntry(delete)).await.map(|_| true));
    // who may: the share that Carol has of the same entry
    let of_carol = given(kit, ann, carol, "granted", &[List]).await;
    let end = crate::api::shares::RevokeShare { share: of_carol };
    note(Admin, kit.call(by, end).await.map(|_| true));
    revoke(kit, ann, of_carol).await.unwrap();
    let on = offer(kit, ann, carol, "granted", &[held]).await;
    note(Share, kit.call(by, on).await.map(|_| true));
    done
}

async fn six_permissions_by_share_and_by_agent(kit: Kit) {
    let (ann, bob, carol) = three(&kit).await;
    let granted = ann.id("granted");
    let mut table = Vec::new();
    for held in ALL {
        // a person, by a share
        let give = offer(&kit, &ann, &bob, "granted", &[held]).await;
        let by_share = match kit.call(ann.caller(), give).await {
            Ok(share) => {
                super::accept(&kit, &bob, share.id).await.unwrap();
                let done = acts(&kit, bob.caller(), &ann, &carol, held).await;
                revoke(&kit, &ann, share.id).await.unwrap();
                Ok(done)
            }
            Err(error) => Err(error.reason().to_owned()),
        };
        // an agent, by what it asked for
        let agent = agent(&kit, &ann, DAY_MS).await;
        assert!(
            acts(&kit, &agent.caller, &ann, &carol, held).await.is_empty(),
            "before it was given {held:?}"
        );
        let by_agent = match kit.call(&agent.caller, wish_of(&agent, granted, &[held])).await {
            Ok(asked) => {
                assert!(
                    acts(&kit, &agent.caller, &ann, &carol, held).await.is_empty(),
                    "{held:?} was only asked for"
                );
                let give = approval(&kit, &ann, &agent, asked.id, &[held]).await;
                kit.call(ann.caller(), give).await.unwrap();
                Ok(acts(&kit, &agent.caller, &ann, &carol, held).await)
            }
            Err(error) => Err(error.reason().to_owned()),
        };
        kit.call(ann.caller(), RevokeProgramToken { token: agent.token }).await.unwrap();
        table.push((held, by_share, by_agent));
    }
    let no = |why: &str| Err(why.to_owned());
    assert_eq!(
        table,
        [
            (Read, Ok(vec![Read]), Ok(vec![Read])),
            (List, Ok(vec![List]), Ok(vec![List])),
            // not to the vault itself: what they send to its owner is tried in `lattice`, and in `agent_writes`
            (Write, Ok(Vec::new()), Ok(Vec::new())),
            (Delete, Ok(Vec::new()), no("PERMISSION_DENIED")),
            (Admin, Ok(vec![Admin]), no("PERMISSION_DENIED")),
            (Share, Ok(vec![Share]), no("PERMISSION_DENIED")),
        ]
    );
}

#[tokio::test]
async fn t5_six_permissions_by_share_and_by_agent_on_sim() {
    six_permissions_by_share_and_by_agent(Kit::sim().await).await;
}

#[tokio::test]
async fn t5_six_permissions_by_share_and_by_agent_on_sqlite() {
    six_permissions_by_share_and_by_agent(Kit::sqlite().await).await;
}

#[tokio::test]
async fn t5_six_permissions_by_share_and_by_agent_on_postgres() {
    six_permissions_by_share_and_by_agent(Kit::postgres().await).await;
}

#[tokio::test]
async fn an_agent_opens_what_it_was_given_on_its_request_and_for_its_time() {
    let kit = Kit::sim().await;
    let (mut ann, _, _) = three(&kit).await;
    let (vault, granted) = (ann.vault(), ann.id("granted"));
    let agent = agent(&kit, &ann, DAY_MS).await;
    let given = approved(&kit, &ann, &agent, &[Read]).await;
    assert_eq!((given.state, given.requester_email.as_str()), (CapabilityState::Approved, ""));
    let found = get(&kit, &agent.caller, vault, granted).await.unwrap();
    let place = ObjectPlace { scope: ann.open.scope(), object: granted, version: found.objects[0].version };
    let giver = VerifyKey(ann.signing().verify_key().0);
    let data_key = grant::open(&place, found.grant.as_ref().unwrap(), &agent.key, &giver).unwrap();
    let body = open_body(&data_key, &place, &found.objects[0].body).unwrap();
    assert!(body.windows(9).any(|part| part == b"the value"));
    // read is not list, and what is held is not asked for again
    let seen = list(&kit, &agent.caller, vault).await.unwrap();
    assert_eq!(seen.entries.iter().map(|head| head.leaf.object_id).collect::<Vec<_>>(), [ann.id("kept")]);
    assert_eq!(reason(ask(&kit, &agent.caller, granted, &[Read]).await), "HELD_ALREADY");
    assert_eq!(reason(ask(&kit, &agent.caller, ann.id("kept"), &[Read, List]).await), "HELD_ALREADY");
    // a newer version is asked for anew
    store(&kit, &ann.person, &mut ann.open, "granted", b"newer").await;
    assert_eq!(reason(get(&kit, &agent.caller, vault, granted).await), "GRANT_STALE");
    approved(&kit, &ann, &agent, &[Read]).await;
    assert!(get(&kit, &agent.caller, vault, granted).await.is_ok());
    // for its time
    kit.clock.advance(Duration::from_millis(u64::try_from(HOUR_MS).unwrap()));
    assert_eq!(get(&kit, &agent.caller, vault, granted).await.err(), Some(ActorError::NotFound));
    assert!(get(&kit, &agent.caller, vault, ann.id("kept")).await.is_ok());
    let ann = Side { person: kit.sign_in(&ann.person, LinkPurpose::SignIn).await, ..ann };
    assert!(asked_of(&kit, ann.caller()).await.iter().all(|one| one.state == CapabilityState::Expired));
    // nobody gives a key back: what it had is written anew when the token ends
    let ended = kit.call(ann.caller(), RevokeProgramToken { token: agent.token }).await.unwrap();
    let mut both = [granted.0, ann.id("kept").0];
    both.sort_unstable();
    assert_eq!(ended.rekey, both);
    assert!(asked_of(&kit, ann.caller()).await.is_empty(), "its requests went with it");
}

#[tokio::test]
async fn an_agent_learns_nothing_by_asking_and_decides_nothing() {
    let kit = Kit::sim().await;
    let (ann, bob, _) = three(&kit).await;
    let (one, other) = (agent(&kit, &ann, DAY_MS).await, agent(&kit, &ann, DAY_MS).await);
    let granted = ann.id("granted");
    given(&kit, &ann, &bob, "granted", &[List]).await;
    let of_bob = ask(&kit, bob.caller(), granted, &[Read]).await.unwrap();
    // what is there, what is not, what is another's, and what opens the vault: one answer
    let mut answers = Vec::new();
    for object in [granted, Digest32([7; 32]), bob.id("granted"), ocmt_crypto::object::keyring_id()] {
        let said = ask(&kit, &one.caller, object, &[Read]).await.unwrap();
        let id = said.id;
        answers.push(CapabilityInfo { id: ocmt_store::testing::id(0), object: [0; 32], ..said });
        assert_eq!(reason(get(&kit, &one.caller, ann.vault(), object).await), "NOT_FOUND", "{id} waits");
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
    let of_one = asked_of(&kit, &one.caller).await;
    assert_eq!(of_one.len(), 4);
    let about = |object: Digest32| of_one.iter().find(|one| one.object == object.0).unwrap().id;
    // another vault than its own is not there
    let elsewhere = RequestCapability { vault: Some(bob.vault()), ..wish(granted, &[Read]) };
    assert_eq!(kit.call(&one.caller, elsewhere).await.err(), Some(ActorError::NotFound));
    // it sees its own requests, and decides on none
    assert!(asked_of(&kit, &other.caller).await.is_empty());
    assert_eq!(asked_of(&kit, ann.caller()).await.len(), 5);
    assert_eq!(asked_of(&kit, bob.caller()).await, std::slice::from_ref(&of_bob));
    let give = approval(&kit, &ann, &one, about(granted), &[Read]).await;
    for which in [about(granted), of_bob.id, ocmt_store::testing::id(4711)] {
        for by in [&one.caller, &other.caller] {
            let give = ApproveCapability { capability: which, ..give.clone() };
            assert_eq!(reason(kit.call(by, give).await), "PERMISSION_DENIED");
            assert_eq!(reason(kit.call(by, DenyCapability { capability: which }).await), "PERMISSION_DENIED");
        }
    }
    // nor does anybody but whose vault it is
    for which in &of_one {
        let give = ApproveCapability { capability: which.id, ..give.clone() };
        assert_eq!(kit.call(bob.caller(), give).await.err(), Some(ActorError::NotFound));
    }
    // the keyring is given to nobody, and what is not there to nobody either
    let nowhere = Digest32([7; 32]);
    for (object, refused) in [(ocmt_crypto::object::keyring_id(), "INVALID_ARGUMENT"), (nowhere, "NOT_FOUND")]
    {
        let grants = give.grants.iter().map(|grant| EntryGrant { object, ..grant.clone() }).collect();
        let give = ApproveCapability { capability: about(object), grants, ..give.clone() };
        assert_eq!(reason(kit.call(ann.caller(), give).await), refused);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_requests_of_an_agent_wait_and_it_makes_24_in_a_day() {
    let kit = Kit::sim().await;
    let (ann, _, _) = three(&kit).await;
    let agent = agent(&kit, &ann, 3 * DAY_MS).await;
    for _ in 0..3 {
        let made = join_all((0..15).map(|_| ask(&kit, &agent.caller, ann.id("granted"), &[Read]))).await;
        let (made, refused): (Vec<_>, Vec<_>) = made.into_iter().partition(Result::is_ok);
        assert_eq!(made.len(), 8);
        assert!(refused.into_iter().all(|one| reason(one) == "TOO_MANY_REQUESTS"));
        for one in made {
            let deny = DenyCapability { capability: one.unwrap().id };
            assert_eq!(kit.call(ann.caller(), deny).await.unwrap().state, CapabilityState::Denied);
        }
    }
    assert_eq!(reason(ask(&kit, &agent.caller, ann.id("granted"), &[Read]).await), "TOO_MANY_REQUESTS");
    kit.clock.advance(Duration::from_secs(24 * 3600));
    assert!(ask(&kit, &agent.caller, ann.id("granted"), &[Read]).await.is_ok());
}

#[tokio::test]
async fn what_is_sealed_to_another_key_is_not_given_to_an_agent() {
    let kit = Kit::sim().await;
    let (ann, _, _) = three(&kit).await;
    let (one, other) = (agent(&kit, &ann, DAY_MS).await, agent(&kit, &ann, DAY_MS).await);
    let asked = ask(&kit, &one.caller, ann.id("granted"), &[Read]).await.unwrap();
    let good = approval(&kit, &ann, &one, asked.id, &[Read]).await;
    let to_other = approval(&kit, &ann, &other, asked.id, &[Read]).await;
    let wider = ApproveCapability { permissions: vec![Read, List], ..good.clone() };
    let without = ApproveCapability { grants: Vec::new(), ..good.clone() };
    let longer = ApproveCapability { lifetime_ms: HOUR_MS + 1, ..good.clone() };
    for wrong in [to_other, wider, without, longer] {
        assert_eq!(reason(kit.call(ann.caller(), wrong.clone()).await), "INVALID_ARGUMENT", "{wrong:?}");
    }
    kit.clock.advance(Duration::from_secs(901));
    assert_eq!(kit.call(ann.caller(), good).await.err(), Some(ActorError::StepUpRequired));
    assert_eq!(reason(get(&kit, &one.caller, ann.vault(), ann.id("granted")).await), "NOT_FOUND");
}

#[tokio::test]
async fn an_entry_that_was_deleted_and_written_again_is_nobody_elses() {
    let kit = Kit::sim().await;
    let (mut ann, bob, carol) = three(&kit).await;
    let agent = agent(&kit, &ann, DAY_MS).await;
    let (kept, granted) = (ann.id("kept"), ann.id("granted"));
    approved(&kit, &ann, &agent, &[Read, List]).await;
    given(&kit, &ann, &bob, "granted", &[Read, List]).await;
    // ids are the choice of clients: another vault may have an entry of the same id, and that stays given
    let of_carol = given(&kit, &carol, &bob, "granted", &[Read, List]).await;
    let same = ShareGrant {
        tenant_id: ann.person.tenant,
        share_id: of_carol,
        object_id: granted,
        version: 1,
        sealed_grant: Vec::new(),
    };
    let mut tx = kit.store.fenced(kit.steal(ann.person.tenant).await).await.unwrap();
    tx.insert(&same).await.unwrap();
    tx.commit().await.unwrap();
    let back = async || list(&kit, ann.caller(), ann.vault()).await.is_ok();
    until("its owner works on", back).await;
    for name in ["granted", "kept"] {
        let mut edit = ann.open.edit();
        edit.delete(&ocmt_crypto::entry::EntryName::new(name).unwrap()).unwrap();
        let change = edit.finish().unwrap();
        let deletes = vec![(ann.id(name), 1)];
        let (vault, manifest) = (ann.vault(), change.manifest.clone());
        let delete = Change { vault, puts: Vec::new(), deletes, manifest };
        kit.call(ann.caller(), DeleteEntry(delete)).await.unwrap();
        ann.open.apply(change).unwrap();
        store(&kit, &ann.person, &mut ann.open, name, b"written again").await;
    }
    let vault = ann.vault();
    for object in [granted, kept] {
        assert_eq!(get(&kit, ann.caller(), vault, object).await.unwrap().objects[0].version, 1);
        for other in [bob.caller(), &agent.caller] {
            assert_eq!(
                get(&kit, other, vault, object).await.unwrap_err(),
                ActorError::NotFound,
                "{object:?}"
            );
        }
    }
    for other in [bob.caller(), &agent.caller] {
        let listed = list(&kit, other, vault).await;
        assert!(listed.is_err() || listed.unwrap().entries.is_empty());
    }
    assert!(get(&kit, bob.caller(), carol.vault(), carol.id("granted")).await.is_ok());
    // what it is told of its request is that it is over
    let told = asked_of(&kit, &agent.caller).await;
    assert!(told.iter().all(|one| one.state == CapabilityState::Expired), "{told:?}");
    let mut tx = kit.store.fenced(kit.steal(ann.person.tenant).await).await.unwrap();
    assert_eq!(tx.get::<ShareGrant>((of_carol, granted)).await.unwrap(), Some(same));
}
