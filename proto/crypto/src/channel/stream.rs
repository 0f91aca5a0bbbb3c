//! What a channel carries: the kind of stream asked for, messages sent, and events that come out.

use std::fmt;

use crate::{
    CryptoError, Result,
    codec::{Reader, Writer},
};

use super::MAX_DATA;

/// The most arguments of an exec.
pub const MAX_ARGS: usize = 256;

/// The most bytes of all arguments of an exec together.
pub const MAX_ARGS_LEN: usize = 16 * 1024;

/// What the client asks the cell to connect the channel to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamKind {
    /// A TCP connection to this port on the cell's loopback.
    Tcp {
        /// 1 to 65535.
        port: u16,
    },
    /// A command.
    Exec {
        /// The program and its arguments: 1 to 256, at most 16 KiB together.
        argv: Vec<String>,
        /// Whether it gets a terminal.
        tty: bool,
    },
    /// The workload's output.
    Logs {
        /// Whether to go on after what is there already.
        follow: bool,
    },
}

const TCP: u8 = 1;
const EXEC: u8 = 2;
const LOGS: u8 = 3;

impl StreamKind {
    pub(super) fn encode(&self) -> Result<Vec<u8>> {
        let mut writer = Writer::new();
        match self {
            Self::Tcp { port } => {
                check(*port != 0, "port", "1 to 65535")?;
                writer.u8(TCP).u16(*port);
            }
            Self::Exec { argv, tty } => {
                check((1..=MAX_ARGS).contains(&argv.len()), "arguments", "1 to 256")?;
                let total = argv.iter().map(String::len).sum::<usize>();
                check(total <= MAX_ARGS_LEN, "arguments", "at most 16 KiB together")?;
                writer.u8(EXEC).u8(u8::from(*tty)).count(argv.len());
                for arg in argv {
                    check(!arg.contains('\0'), "argument", "without a zero byte")?;
                    writer.var(arg.as_bytes());
                }
            }
            Self::Logs { follow } => {
                writer.u8(LOGS).u8(u8::from(*follow));
            }
        }
        Ok(writer.into_vec())
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes);
        let kind = match reader.u8()? {
            TCP => {
                let port = reader.u16()?;
                refuse_unless(port != 0)?;
                Self::Tcp { port }
            }
            EXEC => {
                let tty = flag(&mut reader)?;
                let count = reader.count(MAX_ARGS, 4)?;
                refuse_unless(count > 0)?;
                let mut argv = Vec::with_capacity(count);
                let mut total = 0;
                for _ in 0..count {
                    let arg = reader.text(MAX_ARGS_LEN)?;
                    total += arg.len();
                    refuse_unless(total <= MAX_ARGS_LEN && !arg.contains('\0'))?;
                    argv.push(arg.to_owned());
                }
                Self::Exec { argv, tty }
            }
            LOGS => Self::Logs { follow: flag(&mut reader)? },
            _ => return Err(CryptoError::Refused),
        };
        reader.finish()?;
        Ok(kind)
    }
}

/// Which of a command's streams data belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Towards the cell: input. From the cell: output.
    Main,
    /// From the cell only: standard error of a command without a terminal.
    Error,
}

/// Why a channel was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// All was said.
    Done,
    /// The cell could not or would not connect the stream (nothing listens, no such program).
    Refused,
    /// A limit was passed.
    Limit,
    /// The cell is being locked.
    Locked,
    /// Something failed at the other side.
    Failed,
}

/// What one side tells the other in a record.
#[derive(Clone, PartialEq, Eq)]
pub enum Message {
    /// Up to [`MAX_DATA`] bytes of the stream.
    Data(Lane, Vec<u8>),
    /// No more data from this side.
    Eof,
    /// How the command ended: its exit code, or 128 + the signal's number. From the cell only.
    Exit(i32),
    /// The terminal's new size. From the client only.
    Resize {
        /// Lines.
        rows: u16,
        /// Columns.
        cols: u16,
    },
    /// The channel ends, both ways.
    Close(CloseReason),
}

const DATA: u8 = 0;
const EOF: u8 = 1;
const EXIT: u8 = 2;
const RESIZE: u8 = 3;
const CLOSE: u8 = 4;

impl Message {
    pub(super) fn encode(&self) -> Result<Vec<u8>> {
        let mut writer = Writer::new();
        match self {
            Self::Data(lane, bytes) => {
                check(bytes.len() <= MAX_DATA, "data of a record", "at most MAX_DATA bytes")?;
                let lane = match lane {
                    Lane::Main => 0,
                    Lane::Error => 1,
                };
                writer.u8(DATA).u8(lane).fixed(bytes);
            }
            Self::Eof => {
                writer.u8(EOF);
            }
            Self::Exit(code) => {
                writer.u8(EXIT).fixed(&code.to_be_bytes());
            }
            Self::Resize { rows, cols } => {
                writer.u8(RESIZE).u16(*rows).u16(*cols);
            }
            Self::Close(reason) => {
                let reason = match reason {
                    CloseReason::Done => 0,
                    CloseReason::Refused => 1,
                    CloseReason::Limit => 2,
                    CloseReason::Locked => 3,
                    CloseReason::Failed => 4,
                };
                writer.u8(CLOSE).u8(reason);
            }
        }
        Ok(writer.into_vec())
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes);
        let message = match reader.u8()? {
            DATA => {
                let lane = match reader.u8()? {
                    0 => Lane::Main,
                    1 => Lane::Error,
                    _ => return Err(CryptoError::Refused),
                };
                return Ok(Self::Data(lane, bytes.get(2..).ok_or(CryptoError::Refused)?.to_vec()));
            }
            EOF => Self::Eof,
            EXIT => Self::Exit(i32::from_be_bytes(reader.array()?)),
            RESIZE => Self::Resize { rows: reader.u16()?, cols: reader.u16()? },
            CLOSE => Self::Close(match reader.u8()? {
                0 => CloseReason::Done,
                1 => CloseReason::Refused,
                2 => CloseReason::Limit,
                3 => CloseReason::Locked,
                4 => CloseReason::Failed,
                _ => return Err(CryptoError::Refused),
            }),
            _ => return Err(CryptoError::Refused),
        };
        reader.finish()?;
        Ok(message)
    }
}

/// What the caller has to know of.
#[derive(Clone, PartialEq, Eq)]
pub enum Event {
    /// Both sides have confirmed. At the cell: connect the stream now, not before.
    Open(StreamKind),
    /// The other side said this.
    Message(Message),
    /// The connection was resumed; what was lost is on its way again.
    Resumed,
}

/// What came of a frame: frames to send now, in order, and events.
#[derive(Default)]
pub struct Step {
    /// To be sent, each as one WebSocket message.
    pub frames: Vec<Vec<u8>>,
    /// In the order they happened.
    pub events: Vec<Event>,
}

/// Lengths only: what is said in a channel is not for logs.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Data(lane, bytes) => write!(f, "Data({lane:?}, {} bytes)", bytes.len()),
            Self::Eof => f.write_str("Eof"),
            Self::Exit(code) => write!(f, "Exit({code})"),
            Self::Resize { rows, cols } => write!(f, "Resize({rows}x{cols})"),
            Self::Close(reason) => write!(f, "Close({reason:?})"),
        }
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(StreamKind::Exec { argv, tty }) => {
                write!(f, "Open(Exec of {} arguments, tty {tty})", argv.len())
            }
            Self::Open(kind) => write!(f, "Open({kind:?})"),
            Self::Message(message) => message.fmt(f),
            Self::Resumed => f.write_str("Resumed"),
        }
    }
}

fn flag(reader: &mut Reader<'_>) -> Result<bool> {
    match reader.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(CryptoError::Refused),
    }
}

fn refuse_unless(condition: bool) -> Result<()> {
    if condition { Ok(()) } else { Err(CryptoError::Refused) }
}

fn check(condition: bool, what: &'static str, rule: &'static str) -> Result<()> {
    if condition { Ok(()) } else { Err(CryptoError::OutOfRange { what, rule }) }
}
