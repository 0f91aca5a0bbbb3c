//! Between the wire's messages and the vault's types.

use ocmt_crypto::{manifest::Leaf, object::VaultObject};
use ocmt_proto::v1 as pb;
use ocmt_types::Digest32;
use tokio::sync::Semaphore;

use super::Vault;
use crate::{ClientError, client::present};

/// Objects asked for at once.
const BATCH: usize = 48;

pub(crate) fn to_pb(object: &VaultObject) -> pb::VaultObject {
    pb::VaultObject {
        object_id: object.object_id.0.to_vec().into(),
        version: object.version,
        wrapped_key: object.wrapped_key.clone().into(),
        body: object.body.clone().into(),
    }
}

pub(crate) fn to_object(object: pb::VaultObject) -> Result<VaultObject, ClientError> {
    Ok(VaultObject {
        object_id: digest(&object.object_id, "object_id")?,
        version: object.version,
        wrapped_key: object.wrapped_key.into(),
        body: object.body.into(),
    })
}

pub(crate) fn digest(bytes: &[u8], field: &'static str) -> Result<Digest32, ClientError> {
    bytes.try_into().map_err(|_| ClientError::Answer(field))
}

pub(super) fn to_leaf(head: &pb::VaultObjectHead) -> Result<Leaf, ClientError> {
    Ok(Leaf {
        object_id: digest(&head.object_id, "object_id")?,
        version: head.version,
        body_hash: digest(&head.body_hash, "body_hash")?,
    })
}

/// How many of them go on at once in a process: each takes 64 MiB, and as much as a slot says up to a GiB.
const AT_ONCE: usize = 4;
static TURNS: Semaphore = Semaphore::const_new(AT_ONCE);

/// Argon2id takes a fifth of a second of one core: not on a thread that serves others, and a few at a time.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ClientError> {
    let cut_short = || ClientError::Usage("the computation was cut short".to_owned());
    let turn = TURNS.acquire().await.map_err(|_| cut_short())?;
    // the turn goes with the work, which nobody stops who stops waiting for it
    tokio::task::spawn_blocking(move || {
        let _turn = turn;
        work()
    })
    .await
    .map_err(|_| cut_short())
}

impl Vault {
    /// One object as it is stored.
    pub(crate) async fn object(&self, id: Digest32) -> Result<VaultObject, ClientError> {
        let request = pb::GetEntryRequest {
            vault_id: self.id().to_string(),
            object_id: id.0.to_vec().into(),
            version: 0,
        };
        let answer = self.client.vaults().get_entry(request).await?.into_inner();
        only_asked(&[id], vec![present(answer.object, "object")?])?.pop().ok_or(ClientError::Answer("object"))
    }

    /// Several objects as they are stored; one that is missing is an error, since the manifest has it.
    pub(crate) async fn objects(&self, ids: &[Digest32]) -> Result<Vec<VaultObject>, ClientError> {
        let mut objects = Vec::with_capacity(ids.len());
        for some in ids.chunks(BATCH) {
            let request = pb::BatchGetEntriesRequest {
                vault_id: self.id().to_string(),
                object_ids: some.iter().map(|id| id.0.to_vec().into()).collect(),
            };
            let answer = self.client.vaults().batch_get_entries(request).await?.into_inner();
            objects.extend(only_asked(some, answer.objects)?);
        }
        Ok(objects)
    }
}

/// The objects of an answer, if they are those that were asked for, in that order. Another object of the same vault
/// opens just as well: a node that shows the keyring where an entry is to be shared would be given the key of all.
fn only_asked(ids: &[Digest32], answered: Vec<pb::VaultObject>) -> Result<Vec<VaultObject>, ClientError> {
    let objects = answered.into_iter().map(to_object).collect::<Result<Vec<_>, _>>()?;
    if objects.iter().map(|object| object.object_id).eq(ids.iter().copied()) {
        Ok(objects)
    } else {
        Err(ClientError::Answer("objects"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };

    use futures_util::future::join_all;
    use ocmt_crypto::object::keyring_id;

    use super::*;

    fn object(id: Digest32) -> pb::VaultObject {
        pb::VaultObject { object_id: id.0.to_vec().into(), version: 1, ..pb::VaultObject::default() }
    }

    #[test]
    fn an_answer_with_other_objects_than_were_asked_for_is_refused() {
        let (a, b, c) = (Digest32([1; 32]), Digest32([2; 32]), Digest32([3; 32]));
        let answered = |ids: &[Digest32]| ids.iter().map(|id| object(*id)).collect::<Vec<_>>();
        assert_eq!(only_asked(&[a, b], answered(&[a, b])).unwrap().len(), 2);
        assert!(only_asked(&[], Vec::new()).unwrap().is_empty());
        for lie in [&[a, c][..], &[b, a], &[a, a], &[a], &[a, b, c], &[a, keyring_id()], &[]] {
            assert!(matches!(only_asked(&[a, b], answered(lie)), Err(ClientError::Answer(_))), "{lie:?}");
        }
        let short = pb::VaultObject { object_id: vec![1; 31].into(), ..object(a) };
        assert!(only_asked(&[a], vec![short]).is_err());
    }

    static NOW: AtomicUsize = AtomicUsize::new(0);
    static MOST: AtomicUsize = AtomicUsize::new(0);

    /// A hundred unlocks of one process take the memory of a few.
    #[tokio::test]
    async fn v7_of_a_hundred_computations_a_few_go_on_at_once_and_all_are_done() {
        let work = || {
            MOST.fetch_max(NOW.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(2)); // why: long enough that others would run meanwhile
            NOW.fetch_sub(1, Ordering::SeqCst);
        };
        let done = join_all((0..100).map(|_| blocking(work))).await;
        assert!(done.iter().all(Result::is_ok));
        assert!((2..=AT_ONCE).contains(&MOST.load(Ordering::SeqCst)), "{MOST:?} at once");
    }
}
