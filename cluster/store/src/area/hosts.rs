//! Which containers a host has, and what they reserve of its memory.
//!
//! A container is pinned to its host, and what it reserves there is counted in the transaction that makes or
//! removes its row. The count is guarded by one statement: parallel creates on any nodes never overcommit.

use std::collections::BTreeMap;

use ocmt_types::{ContainerId, NodeId};

use crate::{
    ClusterStore, FencedTx, Filter, MAX_LIMIT, Query, StoreError,
    kernel::{
        row::Row as _,
        statement::{Action, Cond, Op},
        value::Field as _,
    },
    tables::{Container, ContainerState, HostMemory},
};

/// Places of the columns of [`HostMemory`].
const NODE: usize = 0;
const RESERVED: usize = 1;

impl FencedTx {
    /// Reserves `mib` of a host's memory, if no more than `most` is reserved then; `false` if it does not fit.
    /// Belongs into the transaction that writes the container's row. None for a host without a bound.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Full`].
    pub async fn reserve_memory(
        &mut self,
        host: NodeId,
        mib: i64,
        most: Option<i64>,
    ) -> Result<bool, StoreError> {
        let nothing = HostMemory { node_id: host, reserved_mib: 0 };
        self.run(HostMemory::table(), Action::Insert(nothing.to_values())).await?;
        let room = most.map(|most| Cond {
            column: RESERVED,
            op: Op::Le,
            value: most.saturating_sub(mib).to_value(),
        });
        self.add_memory(host, mib, room).await
    }

    /// Gives back what a container had reserved, with the removal of its row.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Full`].
    pub async fn return_memory(&mut self, host: NodeId, mib: i64) -> Result<(), StoreError> {
        self.add_memory(host, -mib, None).await.map(drop)
    }

    /// What is reserved on each host, in MiB; none for hosts that never had a container.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn reserved_memory(&mut self) -> Result<BTreeMap<NodeId, i64>, StoreError> {
        let all = Action::Select(Query::from(Filter::<HostMemory>::all()).into_select());
        let rows = self.run(HostMemory::table(), all).await?.rows;
        rows.into_iter()
            .map(|row| HostMemory::from_values(row).map(|row| (row.node_id, row.reserved_mib)))
            .collect()
    }

    async fn add_memory(&mut self, host: NodeId, mib: i64, room: Option<Cond>) -> Result<bool, StoreError> {
        let conds = std::iter::once(Cond::eq(NODE, host.to_value())).chain(room).collect();
        let add = Action::Add { column: RESERVED, by: mib.to_value(), conds };
        Ok(self.run(HostMemory::table(), add).await?.affected > 0)
    }
}

impl ClusterStore {
    /// What is reserved on each host, in MiB; none for hosts that never had a container.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn reserved_memory(&self) -> Result<BTreeMap<NodeId, i64>, StoreError> {
        let rows = self.begin_read().await?.find::<HostMemory>(Filter::all(), false).await?;
        Ok(rows.into_iter().map(|row| (row.node_id, row.reserved_mib)).collect())
    }

    /// Containers of all tenants that are pinned to a host, in the order of their ids and behind `after`, at
    /// most `limit`. For that host alone: it holds them against what its engine has.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn hosted(
        &self,
        host: NodeId,
        after: Option<ContainerId>,
        limit: u32,
    ) -> Result<Vec<Container>, StoreError> {
        let pinned = Container::host_node.eq(host);
        let query = match after {
            Some(after) => pinned.after(&after),
            None => pinned.into(),
        };
        self.begin_read().await?.find(query.limit(limit.min(MAX_LIMIT)), false).await
    }

    /// How many containers of all tenants are in this state, for operators.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn count_in_state(&self, state: ContainerState) -> Result<i64, StoreError> {
        self.begin_read().await?.count(Container::observed.eq(state)).await
    }

    /// How many containers have their volume on a host.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn count_hosted(&self, host: NodeId) -> Result<i64, StoreError> {
        self.begin_read().await?.count(Container::host_node.eq(host)).await
    }
}
