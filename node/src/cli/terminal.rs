//! This process's terminal, handed through to a program at the other end of a channel.

use std::io::{self, IsTerminal as _};

use ocmt_crypto::channel::Message;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

/// The terminal in raw mode: every key goes to the other end. As before when dropped.
pub(super) struct RawTerminal {
    before: Termios,
}

impl RawTerminal {
    /// Takes the terminal of standard input; `None` if that is none.
    pub(super) fn enter() -> io::Result<Option<Self>> {
        if !io::stdin().is_terminal() {
            return Ok(None);
        }
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        Ok(Some(Self { before }))
    }

    /// Its size, as the message that tells it.
    pub(super) fn size(&self) -> Option<Message> {
        let size = tcgetwinsize(io::stdin()).ok()?;
        Some(Message::Resize { rows: size.ws_row, cols: size.ws_col })
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // nothing is left to be done for a terminal that is gone
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}
