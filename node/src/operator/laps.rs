//! Which tenants have another owner: looked at page by page, one lap after the other, so that a watcher costs the
//! database one page a second however many tenants there are.

use std::collections::HashMap;

use ocmt_store::{Store, StoreError, tables::TenantOwner};
use ocmt_types::{Incarnation, TenantId};

/// Tenants in a page.
const PAGE: u32 = 1000;
/// Most tenants that one watcher remembers; of others nothing is told.
const MOST: usize = 200_000;

/// What one watcher has seen.
#[derive(Default)]
pub(super) struct Laps {
    after: Option<TenantId>,
    /// The lap before this one has seen all.
    whole: bool,
    known: HashMap<TenantId, Option<Incarnation>>,
}

impl Laps {
    /// Looks at the next page; those of it that have another owner than when they were seen last.
    pub(super) async fn look(&mut self, store: &Store) -> Result<Vec<TenantOwner>, StoreError> {
        let page = store.operators().placements(None, self.after, PAGE).await?;
        let full = page.len() == usize::try_from(PAGE).unwrap_or(usize::MAX);
        let next = page.last().filter(|_| full).map(|last| last.tenant_id);
        Ok(self.news(page, next))
    }

    /// The same for a page, with the place where the next one begins; none at the end of a lap.
    fn news(&mut self, page: Vec<TenantOwner>, next: Option<TenantId>) -> Vec<TenantOwner> {
        let news = page.into_iter().filter(|owner| self.is_news(owner)).collect();
        self.whole |= next.is_none();
        self.after = next;
        news
    }

    fn is_news(&mut self, owner: &TenantOwner) -> bool {
        let room = self.known.len() < MOST;
        match self.known.get_mut(&owner.tenant_id) {
            Some(known) => std::mem::replace(known, owner.incarnation) != owner.incarnation,
            None if room => {
                self.known.insert(owner.tenant_id, owner.incarnation);
                // one that was founded since
                self.whole
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use ocmt_types::{Epoch, Id as _};

    use super::*;

    fn owner(tenant: u8, life: Option<u8>) -> TenantOwner {
        let incarnation = life.map(|life| Incarnation([life; 16]));
        TenantOwner {
            tenant_id: TenantId::from_bytes([tenant; 16]),
            node_id: None,
            incarnation,
            epoch: Epoch(1),
        }
    }

    fn told(laps: &mut Laps, page: Vec<TenantOwner>, next: Option<u8>) -> Vec<u8> {
        let next = next.map(|next| TenantId::from_bytes([next; 16]));
        laps.news(page, next).iter().map(|owner| owner.tenant_id.as_bytes()[0]).collect()
    }

    #[test]
    fn another_owner_is_told_once_and_the_first_lap_tells_nothing() {
        let mut laps = Laps::default();
        assert_eq!(told(&mut laps, vec![owner(1, Some(1)), owner(2, None)], Some(2)), [] as [u8; 0]);
        assert_eq!(told(&mut laps, vec![owner(3, Some(1))], None), [] as [u8; 0]);
        assert_eq!(told(&mut laps, vec![owner(1, Some(2)), owner(2, None)], Some(2)), [1]);
        assert_eq!(told(&mut laps, vec![owner(3, None), owner(4, Some(2))], None), [3, 4], "4 is new");
        assert_eq!(told(&mut laps, vec![owner(1, Some(2)), owner(2, None)], Some(2)), [] as [u8; 0]);
    }
}
