//! Turns at volumes: one piece of work at a time for each volume, and for all of a tenant while they go. Work upon one may
//! take minutes, and nobody else waits for it.

use std::{
    collections::HashMap,
    hash::Hash,
    path::Path,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use ocmt_types::{TenantId, UserId};
use tokio::sync::{Mutex as Turned, OwnedMutexGuard, OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

use crate::{RuntimeError, volume};

/// Whose turn it is at which volumes.
#[derive(Debug, Default)]
pub(super) struct Turns {
    tenants: Table<TenantId, RwLock<()>>,
    volumes: Table<(TenantId, UserId), Turned<()>>,
}

/// Somebody's turn, until it is dropped. It goes with the work and not with who waits for it: work upon a disk goes on when
/// its caller has given up.
struct Turn {
    _volume: Option<(OwnedRwLockReadGuard<()>, OwnedMutexGuard<()>)>,
    _tenant: Option<OwnedRwLockWriteGuard<()>>,
}

impl Turns {
    /// Works upon the volumes of a tenant, or of one user of it, when their turn has come; what `first` finds out then is known
    /// to the work. Whoever comes after it waits until it has ended, though its caller gave up meanwhile.
    pub(super) async fn work<F: Send + 'static, T: Send + 'static>(
        &self,
        data_dir: &Path,
        (tenant, user): (TenantId, Option<UserId>),
        first: impl Future<Output = F> + Send,
        work: impl FnOnce(&Path, F) -> Result<T, RuntimeError> + Send + 'static,
    ) -> Result<T, RuntimeError> {
        let turn = self.at(tenant, user).await;
        let first = first.await;
        volume::on_disk(data_dir, move |data_dir| {
            let _turn = turn;
            work(data_dir, first)
        })
        .await
    }

    /// At all volumes of a tenant, or at those of one of its users.
    async fn at(&self, tenant: TenantId, user: Option<UserId>) -> Turn {
        let all = self.tenants.of(tenant);
        match user {
            None => Turn { _volume: None, _tenant: Some(all.write_owned().await) },
            Some(user) => {
                let others = all.read_owned().await;
                let volume = self.volumes.of((tenant, user)).lock_owned().await;
                Turn { _volume: Some((others, volume)), _tenant: None }
            }
        }
    }
}

/// Locks by what they are of, as long as somebody has them.
#[derive(Debug)]
struct Table<K, L>(Mutex<HashMap<K, Weak<L>>>);

impl<K, L> Default for Table<K, L> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, L: Default> Table<K, L> {
    fn of(&self, key: K) -> Arc<L> {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(there) = table.get(&key).and_then(Weak::upgrade) {
            return there;
        }
        table.retain(|_, lock| lock.strong_count() > 0);
        let made = Arc::new(L::default());
        table.insert(key, Arc::downgrade(&made));
        made
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::mpsc;

    use futures_util::FutureExt as _;
    use ocmt_types::{IdGen, RandomIds};

    use super::*;

    fn id<I: ocmt_types::Id>() -> I {
        let ids: &dyn IdGen = &RandomIds;
        ids.id()
    }

    #[tokio::test]
    async fn nobody_waits_for_the_volume_of_another_and_a_tenants_own_wait_for_its_end() {
        let (turns, tenant, ann, bob) = (Turns::default(), id(), id(), id());
        let is_free = |tenant, user| turns.at(tenant, user).now_or_never().is_some();
        let held = turns.at(tenant, Some(ann)).await;
        assert!(!is_free(tenant, Some(ann)) && !is_free(tenant, None), "it is held");
        assert!(is_free(tenant, Some(bob)) && is_free(id(), Some(ann)) && is_free(id(), None));
        drop(held);
        let held = turns.at(tenant, None).await;
        assert!(!is_free(tenant, Some(ann)) && !is_free(tenant, Some(bob)) && is_free(id(), Some(ann)));
        drop(held);
        assert!(is_free(tenant, Some(ann)) && is_free(tenant, None));
        let left = |turns: &Turns| turns.volumes.0.lock().unwrap().len();
        for _ in 0..100 {
            drop(turns.at(id(), Some(id())).await);
        }
        assert_eq!(left(&turns), 1, "what nobody has is forgotten");
    }

    #[tokio::test]
    async fn work_whose_caller_has_given_up_keeps_its_turn_until_it_ends() {
        let (turns, tenant, user, folder) = (Turns::default(), id(), id(), tempfile::tempdir().unwrap());
        let (begun, begins) = tokio::sync::oneshot::channel();
        let (end, ends) = mpsc::channel::<()>();
        let work = turns.work(folder.path(), (tenant, Some(user)), async {}, move |_, ()| {
            begun.send(()).unwrap();
            // until the test has looked
            let _ = ends.recv();
            Ok(())
        });
        let mut work = Box::pin(work);
        tokio::select! {
            biased;
            _ = &mut work => panic!("it ended by itself"),
            begun = begins => begun.unwrap(),
        }
        drop(work);
        assert!(turns.at(tenant, Some(user)).now_or_never().is_none(), "another would work beside it");
        end.send(()).unwrap();
        drop(turns.at(tenant, Some(user)).await);
    }
}
