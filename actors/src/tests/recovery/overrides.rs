//! Going on over a veto and a lock: who has to sign for it, what stops it and what does not, and what the owner is told.

use std::time::Duration;

use ocmt_crypto::{
    ceremony::{StopStatement, Verdict},
    sign::SigningKey,
};
use ocmt_store::tables::Ceremony;
use ocmt_types::Clock as _;

use super::circle::{Circle, Requester, SHORT, ownership, short};
use crate::{
    ActorError,
    api::recovery::{
        CeremonyState, CollectShares, Done, GetGuardianSet, OpenCeremony, OverrideStop, VetoCeremony, Vetoed,
    },
    tests::kit::{Kit, until},
};

impl Circle {
    /// Parameters of a ceremony over `stopped`, at the longest delay.
    pub(super) async fn over(&mut self, stopped: &Requester) -> Requester {
        let mut requester = self.requester().await;
        requester.params.overrides = Some(stopped.id());
        requester.params.delay_ms = SHORT.lock_ms;
        requester
    }

    /// Opened and stopped by the owner.
    pub(super) async fn vetoed(&mut self) -> Requester {
        let stopped = self.opened().await;
        self.veto(&stopped, Vec::new()).await.unwrap();
        stopped
    }

    async fn veto(&self, of: &Requester, retirement: Vec<u8>) -> Result<Vetoed, ActorError> {
        let veto = VetoCeremony { ceremony: of.id(), statement: Vec::new(), retirement };
        self.kit.call(&self.owner.caller, veto).await
    }

    /// Guardian `n` signs for it.
    pub(super) async fn sign_for(&self, n: usize, requester: &Requester) -> Result<Done, ActorError> {
        let (by, stopped) = (requester.id(), requester.params.overrides.unwrap());
        let statement = self.statement(n, Verdict::Override { by }, stopped);
        self.say_override(n, requester, statement).await
    }

    async fn say_override(&self, n: usize, of: &Requester, statement: Vec<u8>) -> Result<Done, ActorError> {
        let call = OverrideStop { ceremony: of.id(), statement };
        self.kit.call(&self.guards[n].person.caller, call).await
    }

    pub(super) async fn proposed(&mut self, stopped: &Requester) -> Requester {
        let over = self.over(stopped).await;
        let view = self.open(&over).await.unwrap();
        assert_eq!((view.state, view.release_statement), (CeremonyState::Proposed, None));
        for guard in &self.guards {
            until("the guardian is asked", async || self.get(&guard.person, over.id()).await.is_ok()).await;
        }
        over
    }
}

async fn an_override_goes_on(kit: Kit) {
    let mut circle = Circle::dealt(kit, 2, &[1, 1, 1]).await;
    let stopped = circle.vetoed().await;
    let over = circle.proposed(&stopped).await;
    circle.sign_for(0, &over).await.unwrap();
    circle.sign_for(0, &over).await.expect("a repeat");
    circle.sign_for(1, &over).await.unwrap();
    assert_eq!(circle.state_of(&over.person, over.id()).await.unwrap().state, CeremonyState::Proposed);
    circle.sign_for(2, &over).await.unwrap();
    circle.told(&over).await;
    // a veto and a lock are refused, and a lock on another ceremony stops that one alone
    assert_eq!(circle.veto(&over, Vec::new()).await.unwrap_err().reason(), "CEREMONY_OVERRIDES");
    assert_eq!(circle.lock(0, over.id()).await.unwrap_err().reason(), "CEREMONY_OVERRIDES");
    let other = circle.opened().await;
    circle.lock(0, other.id()).await.unwrap();
    assert_eq!(circle.state_of(&circle.owner, other.id()).await.unwrap().state, CeremonyState::Locked);
    circle.approve(0, over.id()).await.unwrap();
    circle.approve(1, over.id()).await.unwrap();
    circle.reaches(&over.person, over.id(), CeremonyState::Ready).await;
    circle.kit.clock.advance(Duration::from_millis(SHORT.recovery_ms));
    let early = circle.kit.call(&over.person.caller, CollectShares { ceremony: over.id() }).await;
    assert_eq!(early.err().unwrap().reason(), "CEREMONY_NOT_RELEASED", "its delay is the longest");
    circle.kit.clock.advance(Duration::from_millis(SHORT.lock_ms - SHORT.recovery_ms));
    circle.reaches(&over.person, over.id(), CeremonyState::Released).await;
    let collected =
        circle.kit.call(&over.person.caller, CollectShares { ceremony: over.id() }).await.unwrap();
    circle.unlock(&over, &collected).await;
}

#[tokio::test]
async fn k_plus_1_units_go_on_over_a_veto_on_sim() {
    Box::pin(an_override_goes_on(Kit::sim_with(short).await)).await;
}

#[tokio::test]
async fn k_plus_1_units_go_on_over_a_veto_on_sqlite() {
    Box::pin(an_override_goes_on(Kit::sqlite_with(short).await)).await;
}

#[tokio::test]
async fn an_override_opens_while_a_lock_holds_and_counts_what_the_requester_brings() {
    let mut circle = Circle::dealt(Kit::sim_with(short).await, 2, &[1, 1, 1]).await;
    let stopped = circle.opened().await;
    circle.lock(1, stopped.id()).await.unwrap();
    let usual = circle.requester().await;
    assert_eq!(circle.open(&usual).await.unwrap_err().reason(), "LOCKED_BY_GUARDIAN");
    let over = circle.over(&stopped).await;
    let by = Verdict::Override { by: over.id() };
    let statement = |n| circle.statement(n, by, stopped.id());
    // one of them twice, and one more than are needed would be no harm either
    let overrides = vec![statement(0), statement(0), statement(1), statement(2)];
    let open = OpenCeremony { params: over.params.encode(), overrides };
    let view = circle.kit.call(&over.person.caller, open).await.unwrap();
    assert_eq!(view.state, CeremonyState::Open);
}

#[tokio::test]
async fn nobody_signs_for_what_was_not_stopped_nor_with_a_word_for_another() {
    let mut circle = Circle::dealt(Kit::sim_with(short).await, 2, &[1, 1, 1]).await;
    let live = circle.opened().await;
    let over_live = circle.over(&live).await;
    assert_eq!(circle.open(&over_live).await.unwrap_err().reason(), "NOT_STOPPED");
    let refused = circle.say_override(0, &live, Vec::new()).await.unwrap_err();
    assert_eq!(refused.reason(), "NO_OVERRIDE");
    circle.veto(&live, Vec::new()).await.unwrap();
    let mut hasty = circle.over(&live).await;
    hasty.params.delay_ms = SHORT.lock_ms - 1;
    assert_eq!(circle.open(&hasty).await.unwrap_err().reason(), "INVALID_ARGUMENT", "the longest delay");
    let (one, two) = (circle.proposed(&live).await, circle.proposed(&live).await);
    let at = circle.kit.clock.now();
    let by = |of: &Requester| Verdict::Override { by: of.id() };
    let stranger = SigningKey::generate(&mut circle.rng);
    for bad in [
        circle.statement(0, by(&two), live.id()),
        circle.statement(0, by(&one), two.id()),
        circle.statement(0, Verdict::Doubt, live.id()),
        StopStatement::sign(by(&one), live.id(), at, &stranger),
        b"nothing".to_vec(),
    ] {
        let refused = circle.say_override(0, &one, bad).await.unwrap_err();
        assert_eq!(refused.reason(), "INVALID_ARGUMENT");
    }
    // another guardian's word, sent as one's own
    let foreign = circle.statement(1, by(&one), live.id());
    assert_eq!(circle.say_override(0, &one, foreign).await.unwrap_err().reason(), "NOT_FOUND");
    let view = circle.state_of(&one.person, one.id()).await.unwrap();
    assert_eq!((view.state, view.acts.len()), (CeremonyState::Proposed, 0));
}

/// Nothing is gone on over by the stop of another vault's ceremony, nor by one of guardians who were replaced.
#[tokio::test]
async fn only_a_stop_of_the_same_vault_and_guardians_is_gone_on_over() {
    let mut circle = Circle::dealt(Kit::sim_with(short).await, 2, &[1, 1, 1]).await;
    let stopped = circle.vetoed().await;
    let (row, over) = (circle.row(stopped.id()).await, circle.over(&stopped).await);
    for (what, other) in [
        ("vault", Ceremony { vault_id: ocmt_store::testing::id(77), ..row.clone() }),
        ("set", Ceremony { set_id: ocmt_store::testing::id(77), ..row.clone() }),
        ("", row),
    ] {
        let own = ownership(&circle.kit, circle.owner.tenant).await.unwrap();
        let mut tx = circle.kit.store.fenced(own).await.unwrap();
        assert!(tx.update(&other).await.unwrap());
        tx.commit().await.unwrap();
        match circle.open(&over).await {
            Ok(view) => assert_eq!((what, view.state), ("", CeremonyState::Proposed)),
            Err(error) => assert!(!what.is_empty() && error.reason() == "NOT_STOPPED", "{what}: {error}"),
        }
    }
}

#[tokio::test]
async fn whoever_has_the_vault_open_retires_the_guardians_and_ends_an_override() {
    let mut circle = Circle::dealt(Kit::sim_with(short).await, 2, &[1, 1, 1]).await;
    let stopped = circle.vetoed().await;
    let over = circle.proposed(&stopped).await;
    for n in 0..3 {
        circle.sign_for(n, &over).await.unwrap();
    }
    let (hash, at) = (circle.set.as_ref().unwrap().hash(), circle.kit.clock.now());
    let keyring = circle.vault.keyring();
    let by_identity = StopStatement::sign(Verdict::Retire, hash, at, &keyring.identity_signing);
    let of_another = StopStatement::sign(Verdict::Retire, over.id(), at, &keyring.vault_signing);
    for bad in [by_identity, of_another] {
        assert_eq!(circle.veto(&over, bad).await.unwrap_err().reason(), "INVALID_ARGUMENT");
    }
    let good = StopStatement::sign(Verdict::Retire, hash, at, &keyring.vault_signing);
    let ended = circle.veto(&over, good.clone()).await.unwrap();
    assert_eq!((ended.ceremony.state, ended.deal_anew), (CeremonyState::Vetoed, true));
    assert_eq!(circle.row(over.id()).await.release_private_wrapped, None);
    let set = circle.kit.call(&circle.owner.caller, GetGuardianSet { vault: None }).await;
    assert_eq!(set.unwrap_err().reason(), "NOT_FOUND");
    let again = circle.veto(&over, good).await.expect("a repeat whose answer was lost");
    assert_eq!(again.ceremony.state, CeremonyState::Vetoed);
}

#[tokio::test]
async fn what_is_proposed_is_ended_by_a_veto_of_the_owners_key_and_by_no_other() {
    let mut circle = Circle::dealt(Kit::sim_with(short).await, 2, &[1, 1, 1]).await;
    let stopped = circle.vetoed().await;
    let (one, two) = (circle.proposed(&stopped).await, circle.proposed(&stopped).await);
    assert_eq!(circle.veto(&one, Vec::new()).await.unwrap_err().reason(), "CEREMONY_OVERRIDES");
    let at = circle.kit.clock.now();
    let signed = |of: &Requester| {
        let key = &circle.vault.keyring().identity_signing;
        VetoCeremony {
            ceremony: of.id(),
            statement: StopStatement::sign(Verdict::Veto, of.id(), at, key),
            retirement: Vec::new(),
        }
    };
    let ended = circle.kit.call(&circle.owner.caller, signed(&one)).await.unwrap();
    assert_eq!(ended.ceremony.state, CeremonyState::Vetoed);
    assert_eq!(circle.sign_for(0, &one).await.unwrap_err().reason(), "CEREMONY_OVER");
    for n in 0..3 {
        circle.sign_for(n, &two).await.unwrap();
    }
    let open = circle.kit.call(&circle.owner.caller, signed(&two)).await;
    assert_eq!(open.unwrap_err().reason(), "CEREMONY_OVERRIDES", "guardians have decided");
}

#[tokio::test]
async fn where_all_guardians_are_needed_there_is_no_override() {
    let mut circle = Circle::dealt(Kit::sim_with(short).await, 2, &[1, 1]).await;
    let stopped = circle.vetoed().await;
    let over = circle.over(&stopped).await;
    assert_eq!(circle.open(&over).await.unwrap_err().reason(), "INVALID_ARGUMENT");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signatures_that_come_at_once_open_it_once() {
    let mut circle = Circle::dealt(Kit::sim_with(short).await, 2, &[1, 1, 1]).await;
    let stopped = circle.vetoed().await;
    let over = circle.proposed(&stopped).await;
    let (a, b, c) =
        tokio::join!(circle.sign_for(0, &over), circle.sign_for(1, &over), circle.sign_for(2, &over));
    for signed in [a, b, c] {
        signed.unwrap();
    }
    circle.told(&over).await;
    let opened = circle.kit.mailbox.count_of(&circle.owner.email, "ceremony.opened");
    assert_eq!(opened, 2, "once for the one that was stopped, once for this");
}
