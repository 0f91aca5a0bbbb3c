//! What a channel is connected to, seen from its driver: two bounded queues and a task.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use ocmt_crypto::channel::{CloseReason, Lane, StreamKind};
use tokio::sync::mpsc;

use crate::tasks::Task;

use super::{Surroundings, exec, logs, tcp};

/// Bytes read from a stream at once: two frames.
pub(super) const CHUNK: usize = 32 * 1024;
/// Entries of each queue: with [`CHUNK`], at most 256 KiB wait in either direction.
const QUEUE: usize = 8;
/// How long a TCP connection within the container may take.
pub(super) const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// From the client to the stream.
pub(super) enum Input {
    Data(Vec<u8>),
    Eof,
    Resize { rows: u16, cols: u16 },
}

/// What waits for a stream to take it, counted.
#[derive(Default)]
pub(super) struct InputQueue {
    inputs: VecDeque<Input>,
    bytes: usize,
}

impl InputQueue {
    pub(super) fn push(&mut self, input: Input) {
        self.bytes += input.weight();
        self.inputs.push_back(input);
    }

    pub(super) fn pop(&mut self) -> Option<Input> {
        let input = self.inputs.pop_front()?;
        self.bytes -= input.weight();
        Some(input)
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.inputs.is_empty()
    }

    /// Bytes of data, and something for each entry.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Input {
    fn weight(&self) -> usize {
        let data = if let Self::Data(bytes) = self { bytes.len() } else { 0 };
        size_of::<Self>() + data
    }
}

/// From the stream to the client.
pub(super) enum Output {
    Data(Lane, Bytes),
    Eof,
    Exit(i32),
    /// The last one.
    Close(CloseReason),
}

/// A connected stream. Dropping it ends what it is connected to.
pub(super) struct Stream {
    pub(super) input: mpsc::Sender<Input>,
    pub(super) output: mpsc::Receiver<Output>,
    _task: Task,
}

impl Stream {
    /// Connects what the client asked for.
    pub(super) fn connect(kind: StreamKind, around: &Surroundings) -> Self {
        let (input, inputs) = mpsc::channel(QUEUE);
        let (outputs, output) = mpsc::channel(QUEUE);
        let task = match kind {
            StreamKind::Tcp { port } => Task::start(tcp::run(port, inputs, outputs)),
            StreamKind::Exec { argv, tty } => {
                Task::start(exec::run(argv, tty, around.clone(), inputs, outputs))
            }
            StreamKind::Logs { follow } => Task::start(logs::run(follow, around.clone(), outputs)),
        };
        Self { input, output, _task: task }
    }
}
