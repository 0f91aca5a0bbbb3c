//! A command with a terminal of its own: a pseudo-terminal whose other end is the channel.
//!
//! Taking the terminal as the controlling one has to happen in the child, between fork and exec;
//! that is `ocmt-cell terminal`, a step of a few system calls before the command ([`become_command`]).

use std::{
    ffi::OsString,
    io,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::{ffi::OsStringExt as _, process::CommandExt as _},
    },
    process::{Command, Stdio},
};

use bytes::Bytes;
use ocmt_crypto::channel::Lane;
use rustix::{
    fs::{Mode, OFlags},
    pty::OpenptFlags,
    termios::Winsize,
};
use tokio::{io::unix::AsyncFd, sync::mpsc};

use crate::{
    CellError,
    children::{Children, Started},
    environment,
};

use super::streams::{CHUNK, Input, Output};

/// What ends input at a terminal: the line discipline's end-of-file character, ^D.
const END_OF_INPUT: &[u8] = &[4];

/// The channel's end of a terminal.
pub(super) struct Terminal(AsyncFd<OwnedFd>);

/// Starts a command with a terminal.
pub(super) fn start(argv: &[String], children: &Children) -> Result<(Started, Terminal), CellError> {
    let failed = |source| CellError::Spawn { what: "the terminal", source };
    let (ours, theirs) = open_pair().map_err(failed)?;
    let copy = || theirs.try_clone().map(Stdio::from).map_err(failed);
    let mut command = Command::new(std::env::current_exe().map_err(failed)?);
    command.arg("terminal").arg("--").args(argv).stdin(copy()?).stdout(copy()?).stderr(copy()?);
    environment::apply(&mut command, None, None);
    command.env("TERM", "xterm-256color");
    let started = children.spawn(&mut command).map_err(failed)?;
    #[expect(
        deprecated,
        reason = "unsound only for a type that may close its descriptor early; an OwnedFd does not, and the new one is unsafe to call"
    )]
    let ours = AsyncFd::new(ours).map_err(failed)?;
    Ok((started, Terminal(ours)))
}

/// The child's part: makes standard input the controlling terminal of a new session, then becomes
/// the command. Returns only if that fails.
pub fn become_command(argv: &[OsString]) -> io::Error {
    let Some((program, arguments)) = argv.split_first() else {
        return io::Error::other("no command");
    };
    let terminal = || {
        rustix::process::setsid()?;
        rustix::process::ioctl_tiocsctty(io::stdin())
    };
    match terminal() {
        Ok(()) => Command::new(program).args(arguments).exec(),
        Err(errno) => errno.into(),
    }
}

/// Our end, which does not block, and theirs.
fn open_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let ours = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    rustix::pty::grantpt(&ours)?;
    rustix::pty::unlockpt(&ours)?;
    let name = OsString::from_vec(rustix::pty::ptsname(&ours, Vec::new())?.into_bytes());
    let theirs = rustix::fs::open(&name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::ioctl_fionbio(&ours, true)?;
    Ok((ours, theirs))
}

impl Terminal {
    /// Reads until every process has let go of the terminal.
    pub(super) async fn read_all(&self, outputs: &mpsc::Sender<Output>) {
        let mut buffer = vec![0; CHUNK];
        loop {
            let Ok(mut readable) = self.0.readable().await else {
                return;
            };
            let read =
                match readable.try_io(|terminal| Ok(rustix::io::read(terminal.get_ref(), &mut buffer)?)) {
                    Ok(read) => read,
                    Err(_would_block) => continue,
                };
            match read {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // EIO: the last one has closed it
                Ok(0) | Err(_) => return,
                Ok(len) => {
                    if outputs
                        .send(Output::Data(Lane::Main, Bytes::copy_from_slice(&buffer[..len])))
                        .await
                        .is_err()
                    {
                        return;
                    }
                }
            }
        }
    }

    /// Writes what the client types, for ever.
    pub(super) async fn write_all(&self, mut inputs: mpsc::Receiver<Input>) {
        while let Some(input) = inputs.recv().await {
            match input {
                Input::Data(bytes) => self.write(&bytes).await,
                Input::Eof => self.write(END_OF_INPUT).await,
                Input::Resize { rows, cols } => {
                    let size = Winsize { ws_row: rows, ws_col: cols, ws_xpixel: 0, ws_ypixel: 0 };
                    if let Err(errno) = rustix::termios::tcsetwinsize(self.0.get_ref().as_fd(), size) {
                        tracing::debug!(%errno, "terminal not resized");
                    }
                }
            }
        }
        std::future::pending::<()>().await;
    }

    async fn write(&self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let Ok(mut writable) = self.0.writable().await else {
                return;
            };
            match writable.try_io(|terminal| Ok(rustix::io::write(terminal.get_ref(), bytes)?)) {
                Ok(Ok(written)) => bytes = &bytes[written..],
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                // nobody reads it any more: what is typed is lost, as at a hung-up line
                Ok(Err(_)) => return,
                Err(_would_block) => {}
            }
        }
    }
}
