//! Parallel callers, at two nodes: one answer is one session.

use ocmt_types::Secret;
use tokio::task::JoinSet;

use super::{Soft, add};
use crate::{
    ActorError,
    api::{auth::Device, passkeys::SignInByPasskey},
    tests::kit::{Kit, binding},
};

#[tokio::test]
async fn of_parallel_answers_at_two_nodes_one_signs_in() {
    let first = Kit::sqlite().await;
    let second = first.beside(2).await;
    let ann = first.founder("ann@example.com").await;
    let mut soft = Soft::new(1);
    add(&first, &ann, &mut soft).await;
    for _ in 0..5 {
        let offer = second.system.begin_passkey_sign_in(binding().1).await.unwrap();
        let credential = soft.show(&offer.options);
        let mut tries = JoinSet::new();
        for turn in 0..16 {
            let nodes = [first.system.clone(), second.system.clone()];
            let (meta, id, offer, credential) =
                (first.meta(), first.request(), offer.clone(), credential.clone());
            tries.spawn(async move {
                for at in turn.. {
                    let request = SignInByPasskey {
                        assertion: offer.id,
                        credential: credential.clone(),
                        binding_secret: Secret::new(binding().0),
                        device: Device::default(),
                    };
                    match nodes[at % 2].finish_passkey_sign_in(request, &meta, id).await {
                        // an edge asks the owner
                        Err(ActorError::NotOwner { .. }) => {}
                        other => return other.is_ok(),
                    }
                }
                unreachable!("one of them owns the tenant")
            });
        }
        let signed_in = tries.join_all().await.into_iter().filter(|good| *good).count();
        assert_eq!(signed_in, 1);
    }
}
