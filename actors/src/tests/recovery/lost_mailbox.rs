//! Who has lost the mailbox too: a guardian says so, and nothing begins before guardians have signed.

mod address;
mod bounds;
mod channels;
mod links;
mod stops;

use std::time::Duration;

use ocmt_crypto::ceremony::{Verdict, lost_mailbox};

use super::circle::{Circle, Requester, SHORT, short};
use crate::{
    ActorError,
    api::{
        auth::{Assurance, LinkPurpose, ListSessions, SignOut, WhoAmI},
        recovery::{
            CeremonyActKind, CeremonyState, CollectShares, Done, GetCeremony, GetGuardianSet, ListCeremonies,
            ListGuardianships, OverrideStop, ReportLostMailbox, VetoCeremony, WatchCeremonies,
        },
        vault::{GetKeySlots, GetVault},
    },
    tests::kit::{Kit, Person, until},
};

pub(super) const NEW: &str = "owner@new.example";

impl Circle {
    /// Guardian `n` says that the owner is reached at `new`.
    pub(super) async fn report(&self, n: usize, new: &str) -> Result<Done, ActorError> {
        let guard = &self.guards[n];
        let report = ReportLostMailbox { guardianship: guard.guardianship, new_email: new.to_owned() };
        self.ask(&guard.person, report).await
    }

    /// The link that comes of it.
    pub(super) async fn lost_link(&self, n: usize, new: &str) -> String {
        let before = self.kit.mailbox.count(new);
        self.report(n, new).await.unwrap();
        let mail = self.kit.mailbox.token_after(new, before).await;
        assert_eq!((mail.kind.as_str(), &mail.tokens[0].0), ("lost_mailbox", &self.guards[n].person.email));
        mail.tokens[0].1.clone()
    }

    /// The session that the link makes, on a device that asked for nothing.
    pub(super) async fn inert(&self, link: &str, new: &str) -> Person {
        let issued = self.kit.exchange_bound(link, &[9; 32]).await.unwrap();
        assert_eq!(issued.session.assurance, Assurance::Inert);
        let token = issued.token.expose().clone();
        let caller = self.kit.authenticate(&token).await.unwrap();
        Person { email: new.to_owned(), tenant: issued.tenant, user: issued.session.user, token, caller }
    }

    /// Parameters at the longest delay, in a session that a word of guardian 0 gave.
    pub(super) async fn lost(&mut self, new: &str) -> Requester {
        let link = self.lost_link(0, new).await;
        let person = self.inert(&link, new).await;
        self.lost_in(person)
    }

    pub(super) fn lost_in(&mut self, person: Person) -> Requester {
        let mut requester = self.requester_in(person);
        let params = &mut requester.params;
        params.delay_ms = SHORT.lock_ms;
        params.expires_at = params.opened_at + Duration::from_millis(3 * SHORT.lock_ms);
        requester
    }

    /// Proposed, and every guardian knows of it.
    pub(super) async fn lost_proposed(&mut self, new: &str) -> Requester {
        let requester = self.lost(new).await;
        let view = self.open(&requester).await.unwrap();
        assert_eq!((view.state, view.release_statement), (CeremonyState::Proposed, None));
        assert_eq!((view.requester_email.as_str(), view.lost_mailbox), (new, true));
        for guard in &self.guards {
            until("the guardian is asked", async || self.get(&guard.person, requester.id()).await.is_ok())
                .await;
        }
        requester
    }

    /// Guardian `n` signs for the ceremony and its address.
    pub(super) async fn sign_lost(&self, n: usize, requester: &Requester) -> Result<Done, ActorError> {
        let by = Verdict::Override { by: requester.id() };
        let statement = self.statement(n, by, lost_mailbox(&requester.person.email));
        self.say_signed(n, requester, statement).await
    }

    pub(super) async fn say_signed(
        &self,
        n: usize,
        requester: &Requester,
        statement: Vec<u8>,
    ) -> Result<Done, ActorError> {
        let sign = OverrideStop { ceremony: requester.id(), statement };
        self.ask(&self.guards[n].person, sign).await
    }

    /// Signed for by all that are needed, and told.
    pub(super) async fn lost_opened(&mut self, new: &str, k: usize) -> Requester {
        let requester = self.lost_proposed(new).await;
        for n in 0..k {
            self.sign_lost(n, &requester).await.unwrap();
        }
        self.told(&requester).await;
        requester
    }

    /// Approved, and the longest delay has passed.
    pub(super) async fn lost_released(&mut self, requester: &Requester, k: usize) {
        let id = requester.id();
        for n in 0..k {
            self.approve(n, id).await.unwrap();
        }
        self.reaches(&requester.person, id, CeremonyState::Ready).await;
        self.kit.clock.advance(Duration::from_millis(SHORT.lock_ms));
        self.reaches(&requester.person, id, CeremonyState::Released).await;
    }

    /// Opened by the requester's device and completed.
    pub(super) async fn completes(&mut self, requester: &Requester) -> Result<(), ActorError> {
        let collect = CollectShares { ceremony: requester.id() };
        let collected = self.kit.call(&requester.person.caller, collect).await?;
        let (vault, challenge, handout) = self.unlock(requester, &collected).await;
        self.complete(requester, vault, (challenge, handout)).await.map(drop)
    }

    /// Kills the tree without a farewell and starts another; what was on its way then is due again.
    async fn crash(&mut self) {
        self.kit.system.root.kill();
        self.kit.system = self.kit.another_tree().await;
        self.kit.clock.advance(Duration::from_secs(10));
    }
}

/// Every step in a process that dies after it.
async fn everything_lost_and_found(kit: Kit) {
    let mut circle = Circle::dealt(kit, 2, &[1, 1, 1]).await;
    let old = circle.owner.email.clone();
    let link = circle.lost_link(0, NEW).await;
    until("the owner hears of it", async || circle.kit.mailbox.count_of(&old, "recovery.lost_mailbox") == 1)
        .await;
    circle.crash().await;
    let person = circle.inert(&link, NEW).await;
    circle.crash().await;
    let requester = circle.lost_in(person);
    let id = requester.id();
    circle.open(&requester).await.unwrap();
    for guard in &circle.guards {
        until("the guardian is asked", async || circle.get(&guard.person, id).await.is_ok()).await;
    }
    circle.crash().await;
    circle.sign_lost(1, &requester).await.unwrap();
    circle.sign_lost(1, &requester).await.expect("a repeat");
    circle.crash().await;
    let view = circle.state_of(&requester.person, id).await.unwrap();
    assert_eq!((view.state, view.acts.len()), (CeremonyState::Proposed, 1), "the same guardian counts once");
    assert_eq!(view.acts[0].kind, CeremonyActKind::Overrode);
    circle.sign_lost(0, &requester).await.unwrap();
    circle.told(&requester).await;
    circle.crash().await;
    for kind in ["ceremony.proposed", "ceremony.signed_for", "ceremony.opened"] {
        until("the old address hears of it", async || circle.kit.mailbox.count_of(&old, kind) > 0).await;
    }
    circle.approve(1, id).await.unwrap();
    circle.approve(2, id).await.unwrap();
    circle.reaches(&requester.person, id, CeremonyState::Ready).await;
    let minute = Duration::from_secs(60);
    circle.kit.clock.advance(Duration::from_millis(SHORT.lock_ms) - minute);
    let early = circle.kit.call(&requester.person.caller, CollectShares { ceremony: id }).await;
    assert_eq!(early.err().unwrap().reason(), "CEREMONY_NOT_RELEASED", "it waits for the longest");
    circle.kit.clock.advance(minute);
    circle.reaches(&requester.person, id, CeremonyState::Released).await;
    circle.crash().await;
    circle.completes(&requester).await.unwrap();
    circle.crash().await;
    assert_eq!(circle.kit.store.directory().addresses(&old).await.unwrap().len(), 0);
    circle.owner.email = NEW.to_owned();
    let back = circle.kit.sign_in(&circle.owner, LinkPurpose::SignIn).await;
    assert_eq!((back.user, back.tenant), (circle.owner.user, circle.owner.tenant));
    for address in [old.as_str(), NEW] {
        until("both addresses hear of it", async || {
            circle.kit.mailbox.count_of(address, "email.changed") == 1
                && circle.kit.mailbox.count_of(address, "ceremony.completed") == 1
        })
        .await;
    }
}

#[tokio::test]
async fn who_has_lost_everything_gets_vault_and_account_back_on_sim() {
    Box::pin(everything_lost_and_found(Kit::sim_with(short).await)).await;
}

#[tokio::test]
async fn who_has_lost_everything_gets_vault_and_account_back_on_sqlite() {
    Box::pin(everything_lost_and_found(Kit::sqlite_with(short).await)).await;
}

/// The same over two nodes: the guardians' tenants are at another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guardians_of_another_node_say_so_and_sign() {
    let near = Kit::sim_with(short).await;
    let far = near.beside_with(2, short).await;
    let mut circle = Circle::gather_over(near, Some(far), &[1, 1], SHORT).await;
    circle.deal(2).await.unwrap();
    circle.arrived().await;
    let requester = circle.lost_opened(NEW, 2).await;
    circle.lost_released(&requester, 2).await;
    circle.completes(&requester).await.unwrap();
}

#[tokio::test]
async fn an_inert_session_sees_its_own_proposal_and_is_good_for_nothing_else() {
    let mut circle = Circle::dealt(Kit::sim_with(short).await, 2, &[1, 1, 1]).await;
    let others = circle.opened().await;
    let requester = circle.lost_proposed(NEW).await;
    let (kit, who) = (&circle.kit, &requester.person.caller);
    let me = kit.call(who, WhoAmI).await.unwrap();
    assert_eq!((me.email.as_str(), me.factors.len(), me.backup_codes_left), (NEW, 0, 0));
    kit.call(who, GetGuardianSet { vault: None }).await.expect("what its parameters name");
    let listed = kit.call(who, ListCeremonies::default()).await.unwrap().ceremonies;
    assert_eq!(listed.iter().map(|one| one.id).collect::<Vec<_>>(), [requester.id().0]);
    circle.sign_lost(0, &requester).await.unwrap();
    let own = kit.call(who, GetCeremony { ceremony: requester.id() }).await.unwrap().ceremony;
    for view in listed.iter().chain([&own]) {
        assert_eq!((view.requester_email.as_str(), view.owner_email.as_str()), (NEW, ""));
    }
    assert_eq!((own.acts.len(), own.acts[0].guardian_email.as_str()), (1, ""), "nor whom to call");
    let other = kit.call(who, GetCeremony { ceremony: others.id() }).await;
    assert_eq!(other.unwrap_err().reason(), "NOT_FOUND");
    let vault = circle.vault_id();
    let refused = [
        kit.call(who, ListGuardianships::default()).await.err(),
        kit.call(who, ListSessions).await.err(),
        kit.call(who, GetVault { vault: Some(vault) }).await.err(),
        kit.call(who, GetKeySlots { vault: Some(vault), kind: None, claim: None }).await.err(),
        kit.call(who, WatchCeremonies { from: None }).await.err(),
        kit.call(who, CollectShares { ceremony: requester.id() }).await.err(),
        kit.call(who, VetoCeremony { ceremony: others.id(), statement: Vec::new(), retirement: Vec::new() })
            .await
            .err(),
    ];
    for (n, refused) in refused.into_iter().enumerate() {
        assert_eq!(refused.expect("something was done").reason(), "PERMISSION_DENIED", "{n}");
    }
    kit.call(who, SignOut).await.unwrap();
    assert!(kit.authenticate(&requester.person.token).await.is_err());
}
