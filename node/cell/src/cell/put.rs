//! What the workload makes for its user's vault, while the cell is unlocked.

use tokio::sync::oneshot;
use zeroize::Zeroizing;

use super::Cell;
use crate::{
    CellError,
    inbox::{Inbox, Settled},
    state::State,
};

impl Cell {
    /// Takes what the workload makes for the user's vault; resolves when it is stored or refused.
    ///
    /// # Errors
    /// [`CellError::Locked`], and as [`Inbox::put`].
    pub fn put(
        &self,
        name: &str,
        value: Zeroizing<Vec<u8>>,
    ) -> Result<oneshot::Receiver<Settled>, CellError> {
        let now = self.clock.now();
        let mut inner = self.lock_inner();
        if !matches!(inner.state, State::Unlocked { until_ms } if self.now_ms() < until_ms) {
            return Err(CellError::Locked);
        }
        let unlocked = inner.unlocked.as_mut().ok_or(CellError::Locked)?;
        if unlocked.connections.own(name) {
            return Err(CellError::Invalid(
                "that name is kept for the tokens of a connection, which the cell writes",
            ));
        }
        self.inbox.put(&mut unlocked.writing, name, value, now, None)
    }

    /// Waits for the end of an unlock that is under way. The workload is started in the middle of it, and may be faster with its
    /// first wish: on a machine that is busy it was told that the cell is locked.
    pub async fn opened(&self) {
        let opening = matches!(self.lock_inner().state, State::Opening);
        if opening {
            drop(self.transition.lock().await);
        }
    }

    /// What waits for the user's vault. A lock leaves it alone: it is sealed.
    pub fn inbox(&self) -> &Inbox {
        &self.inbox
    }
}
