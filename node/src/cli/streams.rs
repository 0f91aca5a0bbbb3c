//! Between a sealed channel and this process's standard streams.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::bail;
use ocmt_client::channel::SealedChannel;
use ocmt_crypto::channel::{CloseReason, Lane, Message};
use tokio::{
    io::AsyncReadExt as _,
    signal::unix::{SignalKind, signal},
};

use super::terminal::RawTerminal;

/// Runs a program at the other end until it ends; its exit code.
pub(super) async fn run(mut channel: SealedChannel, tty: bool) -> anyhow::Result<ExitCode> {
    let raw = if tty { RawTerminal::enter()? } else { None };
    let mut resized = signal(SignalKind::window_change())?;
    if let Some(size) = raw.as_ref().and_then(RawTerminal::size) {
        channel.send(&size).await?;
    }
    let mut stdin = tokio::io::stdin();
    let mut buffer = vec![0; 16 << 10];
    let (mut reading, mut code) = (true, None);
    loop {
        tokio::select! {
            biased;
            message = channel.next() => match message? {
                Some(Message::Exit(exit)) => code = Some(exit),
                Some(message) => {
                    if !show(message)? {
                        break;
                    }
                }
                None => break,
            },
            read = stdin.read(&mut buffer), if reading => match read {
                Ok(n) if n > 0 => channel.write(buffer.get(..n).unwrap_or_default()).await?,
                _ => {
                    reading = false;
                    channel.send(&Message::Eof).await?;
                }
            },
            _ = resized.recv(), if raw.is_some() => {
                if let Some(size) = raw.as_ref().and_then(RawTerminal::size) {
                    channel.send(&size).await?;
                }
            }
        }
    }
    match code {
        Some(code) => Ok(ExitCode::from(u8::try_from(code).unwrap_or(super::FAILED))),
        None => bail!("the channel ended before the program did"),
    }
}

/// Prints what comes until it ends, or Ctrl-C.
pub(super) async fn print(mut channel: SealedChannel) -> anyhow::Result<ExitCode> {
    loop {
        tokio::select! {
            message = channel.next() => match message? {
                Some(message) => {
                    if !show(message)? {
                        return Ok(ExitCode::SUCCESS);
                    }
                }
                None => return Ok(ExitCode::SUCCESS),
            },
            stopped = tokio::signal::ctrl_c() => {
                stopped?;
                return Ok(ExitCode::SUCCESS);
            }
        }
    }
}

/// Whether more can come.
fn show(message: Message) -> anyhow::Result<bool> {
    match message {
        Message::Data(Lane::Main, bytes) => {
            let mut out = io::stdout().lock();
            out.write_all(&bytes)?;
            out.flush()?;
        }
        Message::Data(Lane::Error, bytes) => io::stderr().lock().write_all(&bytes)?,
        Message::Eof | Message::Exit(_) | Message::Resize { .. } => {}
        Message::Close(CloseReason::Done) => return Ok(false),
        Message::Close(CloseReason::Refused) => {
            bail!("the cell could not start it: no such program, or nothing listens")
        }
        Message::Close(CloseReason::Limit) => bail!("the cell ended it: a limit was passed"),
        Message::Close(CloseReason::Locked) => bail!("the cell was locked"),
        Message::Close(CloseReason::Failed) => bail!("it failed at the other end"),
    }
    Ok(true)
}
