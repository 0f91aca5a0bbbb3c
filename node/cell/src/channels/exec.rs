//! A channel's stream to a command in the container. It gets the clean environment, without the
//! mapped secrets: those are the workload's alone.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use bytes::BytesMut;
use ocmt_crypto::channel::{CloseReason, Lane};
use rustix::process::{Pid, Signal};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    process::{ChildStderr, ChildStdin, ChildStdout},
    sync::mpsc,
    time,
};

use crate::{
    CellError,
    children::{Children, Exit, Started},
    environment,
};

use super::{
    Surroundings,
    streams::{CHUNK, Input, Output},
    terminal,
};

/// How long the output may stay open after the command has ended: a child of it may hold it.
const OUTPUT_AFTER_EXIT: Duration = Duration::from_secs(1);

pub(super) async fn run(
    argv: Vec<String>,
    tty: bool,
    around: Surroundings,
    inputs: mpsc::Receiver<Input>,
    outputs: mpsc::Sender<Output>,
) {
    let children = &around.children;
    let _counted = around.activity.exec();
    let reason = if tty {
        with_terminal(&argv, children, inputs, &outputs).await
    } else {
        with_pipes(&argv, children, inputs, &outputs).await
    };
    let reason = match reason {
        Ok(reason) => reason,
        Err(error) => {
            let _ = outputs.send(Output::Data(Lane::Error, format!("{error}\n").into())).await;
            CloseReason::Refused
        }
    };
    // the driver is gone if its channel ended first
    let _ = outputs.send(Output::Close(reason)).await;
}

struct Pipes {
    stdin: ChildStdin,
    stdout: ChildStdout,
    stderr: ChildStderr,
}

fn start(argv: &[String], children: &Children) -> Result<(Started, Pipes), CellError> {
    let failed = |source| CellError::Spawn { what: "the command", source };
    let (program, arguments) = argv.split_first().ok_or(CellError::Invalid("an exec without a program"))?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    environment::apply(&mut command, None, None);
    let mut started = children.spawn(&mut command).map_err(failed)?;
    let missing = || failed(std::io::Error::other("a pipe is missing"));
    let pipes = Pipes {
        stdin: ChildStdin::from_std(started.pipes.stdin.take().ok_or_else(missing)?).map_err(failed)?,
        stdout: ChildStdout::from_std(started.pipes.stdout.take().ok_or_else(missing)?).map_err(failed)?,
        stderr: ChildStderr::from_std(started.pipes.stderr.take().ok_or_else(missing)?).map_err(failed)?,
    };
    Ok((started, pipes))
}

async fn with_pipes(
    argv: &[String],
    children: &Children,
    inputs: mpsc::Receiver<Input>,
    outputs: &mpsc::Sender<Output>,
) -> Result<CloseReason, CellError> {
    let (started, Pipes { stdin, stdout, stderr }) = start(argv, children)?;
    let reading = async {
        tokio::join!(read_all(stdout, Lane::Main, outputs), read_all(stderr, Lane::Error, outputs));
    };
    Ok(carry(started, children, reading, write_all(stdin, inputs), outputs).await)
}

async fn with_terminal(
    argv: &[String],
    children: &Children,
    inputs: mpsc::Receiver<Input>,
    outputs: &mpsc::Sender<Output>,
) -> Result<CloseReason, CellError> {
    let (started, terminal) = terminal::start(argv, children)?;
    Ok(carry(started, children, terminal.read_all(outputs), terminal.write_all(inputs), outputs).await)
}

/// Carries both directions until the command ends; `writing` never ends by itself.
async fn carry(
    started: Started,
    children: &Children,
    reading: impl Future<Output = ()>,
    writing: impl Future<Output = ()>,
    outputs: &mpsc::Sender<Output>,
) -> CloseReason {
    let _kill = KillOnDrop { children, pid: started.pid };
    tokio::pin!(reading);
    let waiting = async {
        tokio::select! {
            exit = started.exit => exit.ok(),
            () = writing => None,
        }
    };
    tokio::pin!(waiting);
    let mut read = false;
    let exit = loop {
        tokio::select! {
            exit = &mut waiting => break exit,
            () = &mut reading, if !read => read = true,
        }
    };
    if !read {
        let _ = time::timeout(OUTPUT_AFTER_EXIT, reading).await;
    }
    let code = match exit {
        Some(Exit::Code(code)) => code,
        Some(Exit::Signal(signal)) => 128 + signal,
        None => return CloseReason::Failed,
    };
    let _ = outputs.send(Output::Eof).await;
    let _ = outputs.send(Output::Exit(code)).await;
    CloseReason::Done
}

/// Writes what the client sends, and drops it once the command takes no more.
async fn write_all(stdin: ChildStdin, mut inputs: mpsc::Receiver<Input>) {
    let mut stdin = Some(stdin);
    while let Some(input) = inputs.recv().await {
        let keep = match (&mut stdin, input) {
            (Some(pipe), Input::Data(bytes)) => pipe.write_all(&bytes).await.is_ok(),
            (Some(_), Input::Resize { .. }) => true,
            (Some(_), Input::Eof) | (None, _) => false,
        };
        if !keep {
            stdin = None;
        }
    }
    drop(stdin);
    std::future::pending::<()>().await;
}

async fn read_all(mut from: impl AsyncRead + Unpin, lane: Lane, outputs: &mpsc::Sender<Output>) {
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(CHUNK);
        match from.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                if outputs.send(Output::Data(lane, buffer.split().freeze())).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Ends the command when its channel ends first.
struct KillOnDrop<'a> {
    children: &'a Children,
    pid: Pid,
}

impl Drop for KillOnDrop<'_> {
    fn drop(&mut self) {
        self.children.signal(self.pid, Signal::KILL);
    }
}
