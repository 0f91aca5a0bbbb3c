//! Programs: a token is good for what was handed to it, for its user, and no longer than that.

use std::time::Duration;

use futures_util::future::join_all;
use ocmt_crypto::{
    datakey::ObjectPlace,
    entry::EntryName,
    grant,
    object::open_body,
    seal::SealSecretKey,
    sign::{SigningKey, VerifyKey},
    token::{Token, TokenKind},
    vault::UnlockedVault,
};
use ocmt_types::{Digest32, VaultId};

use super::{
    kit::{Kit, Person},
    quotas::limit_to,
    vault::{store, vault_of},
};
use crate::{
    ActorError, Caller, QuotaChange,
    api::{
        audit::QueryAudit,
        auth::{LinkPurpose, WhoAmI},
        programs::{
            CreateProgramToken, EntryGrant, ProgramTokenIssued, ReleaseProgramToken, RevokeProgramToken,
        },
        users::{CreateRole, PublishIdentityKey, RemoveUser, Role, RoleId, SetRole},
        vault::{BatchGetEntries, Entries, GetEntry, ListEntries},
    },
};

const DAY_MS: i64 = 24 * 3_600_000;
/// Reads of a program in ten minutes that are never unusual.
const MOST_READS: usize = 300;

fn reason<T>(answer: Result<T, ActorError>) -> String {
    answer.err().map(|error| error.reason().to_owned()).unwrap_or_default()
}

/// Somebody with a vault of two entries, and identity keys that are published.
pub(crate) async fn owner(kit: &Kit, person: &Person) -> UnlockedVault {
    let mut open = vault_of(kit, person).await;
    store(kit, person, &mut open, "granted", b"the value").await;
    store(kit, person, &mut open, "kept", b"another").await;
    let keyring = open.keyring();
    let publish = PublishIdentityKey {
        verify_key: keyring.identity_signing.verify_key().0,
        seal_key: keyring.identity_seal.public().0,
    };
    kit.call(&person.caller, publish).await.unwrap();
    open
}

fn id(open: &UnlockedVault, name: &str) -> Digest32 {
    open.entry_id(&EntryName::new(name).unwrap())
}

async fn get(kit: &Kit, caller: &Caller, vault: VaultId, object: Digest32) -> Result<Entries, ActorError> {
    kit.call(caller, GetEntry { vault, object, version: 0 }).await
}

/// What the owner's device makes for a program.
pub(crate) async fn ask(
    kit: &Kit,
    person: &Person,
    open: &UnlockedVault,
    key: &SealSecretKey,
    name: &str,
) -> CreateProgramToken {
    ask_signed(kit, person, open, key, name, &open.keyring().identity_signing).await
}

async fn ask_signed(
    kit: &Kit,
    person: &Person,
    open: &UnlockedVault,
    key: &SealSecretKey,
    name: &str,
    giver: &SigningKey,
) -> CreateProgramToken {
    let scope = open.scope();
    let found = get(kit, &person.caller, scope.vault, id(open, name)).await.unwrap();
    let object = &found.objects[0];
    let data_key = open.data_key(object).unwrap();
    let sealed =
        grant::seal(&object.place(scope), &data_key, &key.public(), giver, &mut rand::rng()).unwrap();
    CreateProgramToken {
        name: "adapter".to_owned(),
        vault: scope.vault,
        program_key: key.public().0,
        grants: vec![EntryGrant { object: object.object_id, version: object.version, sealed }],
        lifetime_ms: DAY_MS,
        asked_by: Digest32(rand::random()),
    }
}

pub(crate) async fn issued(
    kit: &Kit,
    person: &Person,
    open: &UnlockedVault,
    key: &SealSecretKey,
) -> ProgramTokenIssued {
    let ask = ask(kit, person, open, key, "granted").await;
    kit.call(&person.caller, ask).await.unwrap()
}

async fn a_program_that_reads_unusually_much_is_stopped(mut kit: Kit) {
    let ann = kit.founder("ann@example.com").await;
    let eve = kit.member(&ann, "eve@example.com", Role::Admin).await;
    let open = owner(&kit, &ann).await;
    let key = SealSecretKey::generate(&mut rand::rng());
    let token = issued(&kit, &ann, &open, &key).await;
    let program = kit.authenticate(token.secret.expose()).await.unwrap();
    let (vault, granted) = (open.scope().vault, id(&open, "granted"));
    for _ in 0..MOST_READS {
        get(&kit, &program, vault, granted).await.unwrap();
    }
    assert_eq!(reason(get(&kit, &program, vault, granted).await), "PERMISSION_DENIED");
    let told = async || kit.mailbox.count_of(&ann.email, "program.stopped") == 1;
    super::kit::until("its user is told", told).await;
    // the name is its user's own word
    let stopped =
        QueryAudit { method: Some("program.stopped".to_owned()), limit: 10, ..QueryAudit::default() };
    let records = kit.call(&ann.caller, stopped).await.unwrap().records;
    let said = records.iter().flat_map(|record| &record.details).map(|(_, said)| said.as_str());
    let said: Vec<_> = said.collect();
    assert!(records.len() == 1 && said.contains(&(MOST_READS + 1).to_string().as_str()), "{said:?}");
    assert!(!said.contains(&"adapter"), "{said:?}");
    // it stays stopped, whatever it asks, after a crash, and when the window is over
    kit.system.root.kill();
    kit.system = kit.another_tree().await;
    kit.clock.advance(std::time::Duration::from_secs(3_000));
    let list = ListEntries { vault, after: None, limit: 0 };
    assert_eq!(reason(kit.call(&program, list).await), "PERMISSION_DENIED");
    assert_eq!(reason(get(&kit, &program, vault, granted).await), "PERMISSION_DENIED");
    // nobody else lets it go on, nor its user without having shown who they are
    let release = ReleaseProgramToken { token: token.id };
    assert_eq!(kit.call(&eve.caller, release).await.unwrap_err(), ActorError::NotFound);
    assert_eq!(reason(kit.call(&ann.caller, release).await), "STEP_UP_REQUIRED");
    assert_eq!(reason(kit.call(&program, release).await), "PERMISSION_DENIED");
    let ann = kit.sign_in(&ann, LinkPurpose::SignIn).await;
    kit.call(&ann.caller, release).await.unwrap();
    // what was looked at is usual from now on
    for _ in 0..2 * MOST_READS {
        get(&kit, &program, vault, granted).await.unwrap();
    }
}

#[tokio::test]
async fn a_program_that_reads_unusually_much_is_stopped_on_sim() {
    a_program_that_reads_unusually_much_is_stopped(Kit::sim().await).await;
}

#[tokio::test]
async fn a_program_that_reads_unusually_much_is_stopped_on_sqlite() {
    a_program_that_reads_unusually_much_is_stopped(Kit::sqlite().await).await;
}

async fn a_program_opens_what_was_handed_to_it_and_sees_nothing_else(kit: Kit) {
    let ann = kit.founder("ann@example.com").await;
    let mut open = owner(&kit, &ann).await;
    let key = SealSecretKey::generate(&mut rand::rng());
    let token = issued(&kit, &ann, &open, &key).await;
    let program = kit.authenticate(token.secret.expose()).await.unwrap();
    let (scope, granted) = (open.scope(), id(&open, "granted"));
    let found = get(&kit, &program, scope.vault, granted).await.unwrap();
    let place = ObjectPlace { scope, object: granted, version: found.objects[0].version };
    let giver = VerifyKey(open.keyring().identity_signing.verify_key().0);
    let data_key = grant::open(&place, found.grant.as_ref().unwrap(), &key, &giver).unwrap();
    let body = open_body(&data_key, &place, &found.objects[0].body).unwrap();
    assert!(body.windows(9).any(|part| part == b"the value"));
    // what was not handed to it is not there, whatever is
    let foreign = kit.founder("eve@example.com").await;
    let foreign = vault_of(&kit, &foreign).await.scope().vault;
    for (vault, object) in [
        (scope.vault, id(&open, "kept")),
        (scope.vault, ocmt_crypto::object::keyring_id()),
        (scope.vault, Digest32([7; 32])),
        (foreign, granted),
    ] {
        assert_eq!(get(&kit, &program, vault, object).await.unwrap_err(), ActorError::NotFound);
    }
    let list = ListEntries { vault: scope.vault, after: None, limit: 0 };
    let seen = kit.call(&program, list).await.unwrap();
    assert_eq!(seen.entries.iter().map(|head| head.leaf.object_id).collect::<Vec<_>>(), [granted]);
    assert!(seen.counter == 0 && seen.entries[0].wrapped_key.is_empty());
    let many = BatchGetEntries { vault: scope.vault, objects: vec![granted] };
    assert_eq!(reason(kit.call(&program, many).await), "PERMISSION_DENIED");
    assert_eq!(reason(kit.call(&program, WhoAmI).await), "PERMISSION_DENIED");
    let more = ask(&kit, &ann, &open, &key, "kept").await;
    assert_eq!(reason(kit.call(&program, more).await), "PERMISSION_DENIED");
    let tied = kit.system.tenant(ann.tenant).open_stream(&program, kit.deadline()).await;
    assert_eq!(tied.err().map(|error| error.reason().to_owned()).as_deref(), Some("UNAUTHENTICATED"));
    // a new version is not what was granted
    store(&kit, &ann, &mut open, "granted", b"a new value").await;
    assert_eq!(reason(get(&kit, &program, scope.vault, granted).await), "GRANT_STALE");
    let ended = kit.call(&ann.caller, RevokeProgramToken { token: token.id }).await.unwrap();
    assert!(ended.rekey.is_empty(), "the program has no key of the present version");
}

#[tokio::test]
async fn a_program_opens_what_was_handed_to_it_and_sees_nothing_else_on_sim() {
    a_program_opens_what_was_handed_to_it_and_sees_nothing_else(Kit::sim().await).await;
}

#[tokio::test]
async fn a_program_opens_what_was_handed_to_it_and_sees_nothing_else_on_sqlite() {
    a_program_opens_what_was_handed_to_it_and_sees_nothing_else(Kit::sqlite().await).await;
}

#[tokio::test]
async fn t6_an_ended_token_is_refused_at_once_on_every_node() {
    let a = Kit::sim().await;
    let b = a.beside(2).await;
    let ann = a.founder("ann@example.com").await;
    let open = owner(&a, &ann).await;
    let key = SealSecretKey::generate(&mut rand::rng());
    let token = issued(&a, &ann, &open, &key).await;
    let (vault, granted) = (open.scope().vault, id(&open, "granted"));
    let program = a.authenticate(token.secret.expose()).await.unwrap();
    get(&a, &program, vault, granted).await.unwrap();
    let ended = a.call(&ann.caller, RevokeProgramToken { token: token.id }).await.unwrap();
    assert_eq!((ended.rekey, ended.vault), (vec![granted.0], vault), "it has the key of the present version");
    assert_eq!(reason(get(&a, &program, vault, granted).await), "UNAUTHENTICATED");
    assert_eq!(reason(a.authenticate(token.secret.expose()).await), "UNAUTHENTICATED");
    // and wherever the tenant goes
    a.is_declared_dead().await;
    super::kit::until("the other node has the tenant", async || {
        let said = b.authenticate(token.secret.expose()).await.err();
        !said.is_some_and(|error| error.is_retryable())
    })
    .await;
    assert_eq!(reason(b.authenticate(token.secret.expose()).await), "UNAUTHENTICATED");
    assert_eq!(reason(get(&b, &program, vault, granted).await), "UNAUTHENTICATED");
    let again = RevokeProgramToken { token: token.id };
    assert_eq!(b.call(&ann.caller, again).await.unwrap_err(), ActorError::NotFound);
}

#[tokio::test]
async fn a_token_ends_with_its_time_with_its_user_and_with_what_the_user_may() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let bob = kit.member(&ann, "bob@example.com", Role::Member).await;
    let open = owner(&kit, &bob).await;
    let key = SealSecretKey::generate(&mut rand::rng());
    let (vault, granted) = (open.scope().vault, id(&open, "granted"));
    let token = issued(&kit, &bob, &open, &key).await;
    let program = kit.authenticate(token.secret.expose()).await.unwrap();
    // the user's role is narrowed
    let role =
        CreateRole { id: "blind".to_owned(), base: Role::Member, permissions: vec!["user.list".to_owned()] };
    kit.call(&ann.caller, role).await.unwrap();
    let narrowed = SetRole { user: bob.user, role: RoleId::Custom("blind".to_owned()) };
    kit.call(&ann.caller, narrowed).await.unwrap();
    assert_eq!(reason(get(&kit, &program, vault, granted).await), "PERMISSION_DENIED");
    kit.call(&ann.caller, SetRole { user: bob.user, role: Role::Member.into() }).await.unwrap();
    get(&kit, &program, vault, granted).await.unwrap();
    // its time is over
    kit.clock.advance(Duration::from_millis(u64::try_from(DAY_MS).unwrap()));
    assert_eq!(reason(get(&kit, &program, vault, granted).await), "UNAUTHENTICATED");
    assert!(kit.authenticate(token.secret.expose()).await.is_err());
    // its user is removed
    let (ann, bob) =
        (kit.sign_in(&ann, LinkPurpose::SignIn).await, kit.sign_in(&bob, LinkPurpose::SignIn).await);
    let token = issued(&kit, &bob, &open, &key).await;
    let program = kit.authenticate(token.secret.expose()).await.unwrap();
    kit.call(&ann.caller, RemoveUser { user: bob.user }).await.unwrap();
    assert_eq!(reason(get(&kit, &program, vault, granted).await), "UNAUTHENTICATED");
    assert!(kit.authenticate(token.secret.expose()).await.is_err());
}

#[tokio::test]
async fn a_grant_is_what_the_owners_own_key_has_signed_for_this_program_of_the_present_version() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let mut open = owner(&kit, &ann).await;
    let key = SealSecretKey::generate(&mut rand::rng());
    let good = ask(&kit, &ann, &open, &key, "granted").await;
    let stranger = SigningKey::generate(&mut rand::rng());
    let by_stranger = ask_signed(&kit, &ann, &open, &key, "granted", &stranger).await;
    let other_key = CreateProgramToken { program_key: [9; 32], ..good.clone() };
    let twice =
        CreateProgramToken { grants: [good.grants.clone(), good.grants.clone()].concat(), ..good.clone() };
    let none = CreateProgramToken { grants: Vec::new(), ..good.clone() };
    let mut elsewhere = good.clone();
    elsewhere.grants[0].object = id(&open, "kept");
    let for_ever = CreateProgramToken { lifetime_ms: 367 * DAY_MS, ..good.clone() };
    for wrong in [by_stranger, other_key, twice, none, elsewhere, for_ever] {
        assert_eq!(reason(kit.call(&ann.caller, wrong.clone()).await), "INVALID_ARGUMENT", "{wrong:?}");
    }
    let mut unknown = good.clone();
    unknown.grants[0].object = Digest32([7; 32]);
    assert_eq!(kit.call(&ann.caller, unknown).await.err(), Some(ActorError::NotFound));
    store(&kit, &ann, &mut open, "granted", b"newer").await;
    assert_eq!(reason(kit.call(&ann.caller, good.clone()).await), "CHANGED_MEANWHILE");
    // nor of somebody else's vault, nor long after a sign-in
    let bob = kit.member(&ann, "bob@example.com", Role::Owner).await;
    let fresh = ask(&kit, &ann, &open, &key, "granted").await;
    assert_eq!(kit.call(&bob.caller, fresh.clone()).await.err(), Some(ActorError::NotFound));
    kit.clock.advance(Duration::from_secs(901));
    assert_eq!(kit.call(&ann.caller, fresh).await.err(), Some(ActorError::StepUpRequired));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_request_makes_one_token_however_often_it_comes() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let bob = kit.member(&ann, "bob@example.com", Role::Member).await;
    let (open, his) = (owner(&kit, &ann).await, owner(&kit, &bob).await);
    let key = SealSecretKey::generate(&mut rand::rng());
    let wish = ask(&kit, &ann, &open, &key, "granted").await;
    let made = join_all((0..4).map(|_| kit.call(&ann.caller, wish.clone()))).await;
    let (made, again): (Vec<_>, Vec<_>) = made.into_iter().partition(Result::is_ok);
    let [Ok(token)] = made.as_slice() else { panic!("{} tokens", made.len()) };
    for error in again.into_iter().chain([kit.call(&ann.caller, wish.clone()).await]).filter_map(Result::err)
    {
        assert_eq!(error.reason(), "PROGRAM_TOKEN_MADE");
        // whoever lost the answer can end the token that it told of
        assert!(error.to_string().contains(&token.id.to_string()), "{error}");
        assert!(!error.to_string().contains("ocmt_prg_"));
    }
    assert!(kit.authenticate(token.secret.expose()).await.is_ok());
    // another's request is another's, whatever its key
    let hers = CreateProgramToken { asked_by: wish.asked_by, ..ask(&kit, &bob, &his, &key, "granted").await };
    kit.call(&bob.caller, hers).await.unwrap();
}

/// A program that runs away is the tenant's, as its people's calls are.
#[tokio::test]
async fn calls_of_programs_count_as_the_tenants() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let open = owner(&kit, &ann).await;
    let key = SealSecretKey::generate(&mut rand::rng());
    let token = issued(&kit, &ann, &open, &key).await;
    let program = kit.authenticate(token.secret.expose()).await.unwrap();
    limit_to(&kit, &ann, QuotaChange { calls_per_minute: Some(5), ..QuotaChange::default() }).await;
    kit.clock.advance(Duration::from_secs(61));
    let (vault, granted) = (open.scope().vault, id(&open, "granted"));
    let answers = join_all((0..20).map(|_| get(&kit, &program, vault, granted))).await;
    let (done, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(done.len(), 5);
    assert!(refused.into_iter().all(|one| reason(one) == "QUOTA_CALLS"));
    assert_eq!(reason(get(&kit, &ann.caller, vault, granted).await), "QUOTA_CALLS");
}

#[tokio::test]
async fn t1_a_token_is_its_users_alone_and_a_made_up_one_is_nobodys() {
    let kit = Kit::sim().await;
    let (ann, eve) = (kit.founder("ann@example.com").await, kit.founder("eve@example.com").await);
    let bob = kit.member(&ann, "bob@example.com", Role::Owner).await;
    let open = owner(&kit, &ann).await;
    let key = SealSecretKey::generate(&mut rand::rng());
    let token = issued(&kit, &ann, &open, &key).await;
    for other in [&bob, &eve] {
        for token in [token.id, ocmt_store::testing::id(4711)] {
            let refused = kit.call(&other.caller, RevokeProgramToken { token }).await.err();
            assert_eq!(refused, Some(ActorError::NotFound));
        }
    }
    let forged = Token::issue(TokenKind::Program, ann.tenant, &mut rand::rng());
    assert_eq!(reason(kit.authenticate(forged.expose()).await), "UNAUTHENTICATED");
    let hash = token.secret.expose();
    assert!(kit.authenticate(&Token::parse(hash).unwrap().hash().to_string()).await.is_err());
    // of parallel ends one is the end
    let ends = join_all((0..4).map(|_| kit.call(&ann.caller, RevokeProgramToken { token: token.id }))).await;
    assert_eq!(ends.iter().filter(|end| end.is_ok()).count(), 1);
}

#[tokio::test]
async fn what_a_program_does_is_in_the_trail_under_its_token() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let open = owner(&kit, &ann).await;
    let key = SealSecretKey::generate(&mut rand::rng());
    let token = issued(&kit, &ann, &open, &key).await;
    let program = kit.authenticate(token.secret.expose()).await.unwrap();
    get(&kit, &program, open.scope().vault, id(&open, "granted")).await.unwrap();
    get(&kit, &program, open.scope().vault, id(&open, "kept")).await.unwrap_err();
    let query =
        QueryAudit { method: Some("VaultService/GetEntry".to_owned()), limit: 100, ..QueryAudit::default() };
    let trail = kit.call(&ann.caller, query).await.unwrap().records;
    let named = |record: &&crate::api::audit::AuditEntry| {
        let id = token.id.to_string();
        record.canonical.windows(id.len()).any(|part| part == id.as_bytes())
    };
    let results: Vec<_> = trail.iter().filter(named).map(|record| record.result.as_str()).collect();
    assert_eq!(results.len(), 2, "{results:?}");
    assert!(results.contains(&"OK") && results.contains(&"NOT_FOUND"), "{results:?}");
}
