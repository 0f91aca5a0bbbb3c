//! Looking at groups.

use std::collections::BTreeSet;

use ocmt_store::tables::{Group, GroupMember, User};
use ocmt_types::GroupId;

use super::{info, load, members};
use crate::{
    api::groups::{GetGroup, GroupDetail, GroupPage, ListGroups},
    authorize::{Action, Object},
    error::ActorError,
    work::{Handle, Work},
};

const PAGE: usize = 50;
const LARGEST_PAGE: usize = 100;

impl Handle for GetGroup {
    async fn handle(self, work: &mut Work) -> Result<GroupDetail, ActorError> {
        let row = load(work, Action::ReadGroup, self.group).await?;
        let mut rows = work.tx.find::<GroupMember>(GroupMember::group_id.eq(self.group)).await?;
        rows.sort_by_key(|row| (row.added_at, row.user_id));
        let mut all = Vec::with_capacity(rows.len());
        for row in rows {
            let email = work.tx.get::<User>(row.user_id).await?.map(|user| user.email).unwrap_or_default();
            all.push(members::info(&row, email));
        }
        Ok(GroupDetail { group: info(work, row).await?, members: all })
    }
}

impl Handle for ListGroups {
    async fn handle(self, work: &mut Work) -> Result<GroupPage, ActorError> {
        let user = work.person()?;
        work.authorize(Action::ListGroups, &Object::TENANT)?;
        let limit = page(self.limit);
        let mut rows = work.tx.find::<Group>(ocmt_store::Filter::all().asc(Group::name)).await?;
        // all of them for those who may read each; else one's own
        if work.authorize(Action::ReadGroup, &super::as_object(None)).is_err() {
            let own = work.tx.find::<GroupMember>(GroupMember::user_id.eq(user)).await?;
            let own: BTreeSet<GroupId> = own.into_iter().map(|row| row.group_id).collect();
            rows.retain(|row| own.contains(&row.group_id));
        }
        rows.retain(|row| self.after.as_ref().is_none_or(|after| row.name > *after));
        let next = (rows.len() > limit).then(|| rows.get(limit - 1).map(|row| row.name.clone())).flatten();
        rows.truncate(limit);
        let mut groups = Vec::with_capacity(rows.len());
        for row in rows {
            groups.push(info(work, row).await?);
        }
        Ok(GroupPage { groups, next })
    }
}

/// The size of a page: 1 to 100, 50 unless asked.
pub(super) fn page(asked: u32) -> usize {
    match usize::try_from(asked).unwrap_or(LARGEST_PAGE) {
        0 => PAGE,
        asked => asked.min(LARGEST_PAGE),
    }
}
