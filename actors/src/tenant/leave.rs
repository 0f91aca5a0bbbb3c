//! How a tenant leaves this node: it stops when nothing of it is in the middle any more. Its supervisor
//! refuses new messages meanwhile (`tenants::leave`).

use ractor::ActorRef;

use super::{CLEAN, TenantMessage, TenantState};
use crate::{
    supervisor::{self, Task},
    tenants::{HOLD, TenantsMessage},
};

/// A try to leave.
pub(super) struct Leaving {
    /// If it is not quiet in time, it leaves all the same.
    last: bool,
    _watch: Task,
}

impl TenantState {
    pub(super) fn leave(&mut self, myself: &ActorRef<TenantMessage>, last: bool) {
        let (env, tenant, me) = (self.scope.env.clone(), self.scope.ownership.tenant, myself.clone());
        let watch = supervisor::task(async move {
            // calls are answered by children too, and by containers: their permits tell
            let quiet = async {
                env.admission.is_free(tenant).await;
                let _ = me.cast(TenantMessage::LeaveNow);
                std::future::pending::<()>().await;
            };
            let _ = tokio::time::timeout(HOLD, quiet).await;
            let _ = me.cast(TenantMessage::LeaveIsOver);
        });
        self.leaving = Some(Leaving { last, _watch: watch });
        self.leave_if_quiet(myself);
    }

    /// Nothing is unanswered and nothing runs.
    pub(super) fn leave_if_quiet(&mut self, myself: &ActorRef<TenantMessage>) {
        let busy = self.scope.env.admission.is_busy(self.scope.ownership.tenant);
        if self.leaving.is_some() && self.lane.is_idle() && !busy {
            myself.stop(Some(CLEAN.to_owned()));
        }
    }

    /// It takes too long: calls are taken again until the next try, unless this was the last.
    pub(super) fn leave_is_over(&mut self, myself: &ActorRef<TenantMessage>) {
        match self.leaving.take() {
            Some(Leaving { last: true, .. }) => myself.stop(Some(CLEAN.to_owned())),
            Some(Leaving { last: false, .. }) => {
                let _ = self.supervisor.cast(TenantsMessage::StaysAwake(self.scope.ownership));
            }
            None => {}
        }
    }
}
