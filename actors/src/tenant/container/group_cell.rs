//! Admissions of what the cell of a group is asked for: who may is decided by the group ([`crate::tenant::group_vault`]).

use super::{About, Admission, unlock::asked};
use crate::{
    api::{
        container::{CellKeyStated, Unlocked},
        group_cells::{GetGroupCellKey, OpenGroupCell},
    },
    call::{Repeat, Reply},
    error::ActorError,
    host::message::{At, JobKind, What},
    ports::CellUnlock,
    tenant::group_vault::unlock::{handed, place},
    work::Work,
};

asked!(
    GetGroupCellKey, (At, std::time::Duration), CellKeyStated,
    |(at, keep), about, reply| (at, about.job(JobKind::Hold(keep, reply))),
    self, work => {
        let found = place(work, &self).await?;
        Ok(((&found.container).into(), found.keep))
    }
);

asked!(
    OpenGroupCell, (At, CellUnlock), Unlocked,
    |(at, unlock), about, reply| (at, about.job(JobKind::Unlock(unlock, reply))),
    self, work => {
        let (container, unlock) = handed(work, &self).await?;
        Ok(((&container).into(), unlock))
    }
);
