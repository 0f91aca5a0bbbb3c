//! A recovery ends the keys of whoever it gives the vault back to, and of nobody else.

use ocmt_store::tables::Session;

use super::circle::{Circle, ownership, pass_delay, short};
use crate::{
    api::{
        keys::CreateApiKey,
        recovery::{CeremonyState, CollectShares},
        tenant::GetTenant,
        users::Role,
    },
    tests::{
        api_keys::{ask, reason},
        kit::Kit,
    },
};

#[tokio::test]
async fn a_recovery_that_is_completed_ends_the_owners_keys() {
    for kit in [Kit::sim_with(short).await, Kit::sqlite_with(short).await] {
        let mut circle = Circle::dealt(kit, 2, &[1, 1]).await;
        let other = circle.kit.member(&circle.owner, "other@example.com", Role::Member).await;
        let long = CreateApiKey { lifetime_ms: 366 * 86_400_000, ..ask(&["tenant.read"]) };
        let mut keys = Vec::new();
        for (person, wish) in [(&circle.owner, &long), (&circle.owner, &long), (&other, &long)] {
            let wish = CreateApiKey { asked_by: ask(&[]).asked_by, ..wish.clone() };
            let issued = circle.kit.call(&person.caller, wish).await.unwrap();
            keys.push(circle.kit.authenticate(issued.secret.expose()).await.unwrap());
        }
        let requester = circle.opened().await;
        for n in 0..2 {
            circle.approve(n, requester.id()).await.unwrap();
        }
        pass_delay(&circle);
        circle.reaches(&requester.person, requester.id(), CeremonyState::Released).await;
        circle.kit.call(&keys[0], GetTenant).await.expect("until then a key is good");
        let collect = CollectShares { ceremony: requester.id() };
        let collected = circle.kit.call(&requester.person.caller, collect).await.unwrap();
        let (vault, challenge, handout) = circle.unlock(&requester, &collected).await;
        let live = circle.live_sessions().await;
        let (done, _) = circle.complete(&requester, vault, (challenge, handout)).await.unwrap();
        assert_eq!(done.ended_credentials, live + 2);
        for ended in &keys[..2] {
            assert_eq!(reason(circle.kit.call(ended, GetTenant).await), "UNAUTHENTICATED");
        }
        circle.kit.call(&keys[2], GetTenant).await.expect("another's key goes on");
    }
}

impl Circle {
    /// Sessions of the owner that the store has as not ended.
    async fn live_sessions(&self) -> u32 {
        let own = ownership(&self.kit, self.owner.tenant).await.unwrap();
        let open = Session::user_id.eq(self.owner.user).and(Session::ended_at.eq(None));
        let open = self.kit.store.read(own).await.unwrap().count(open).await.unwrap();
        u32::try_from(open).unwrap()
    }
}
