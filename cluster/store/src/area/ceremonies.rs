//! How many ceremonies go on, for operators: counts, and nothing of whose they are.

use crate::{
    ClusterStore, StoreError,
    tables::{Ceremony, CeremonyPurpose, CeremonyState},
};

impl ClusterStore {
    /// How many ceremonies of all tenants, of these purposes, are in each state in which they are not over. A count reads
    /// two columns, which are all that work across tenants may read here.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn live_ceremonies(
        &self,
        purposes: &[CeremonyPurpose],
    ) -> Result<Vec<(CeremonyState, i64)>, StoreError> {
        let mut tx = self.begin_read().await?;
        let mut all = Vec::with_capacity(CeremonyState::LIVE.len());
        for state in CeremonyState::LIVE {
            let mut count = 0_i64;
            for purpose in purposes {
                let those = Ceremony::purpose.eq(*purpose).and(Ceremony::state.eq(state));
                count = count.saturating_add(tx.count(those).await?);
            }
            all.push((state, count));
        }
        Ok(all)
    }
}
