//! The workload's way to its user's vault, to its connections and into conversations: `ocmt-cell put NAME`, `ocmt-cell token
//! PROVIDER` and `ocmt-cell conversation` inside the container, over a socket that only what runs below the cell is
//! served on.
//!
//! The socket has no file: containers are read-only, and an abstract name lives in the container's own network.
//! Where containers share one (the `process` runtime), whoever connects is still held against the process tree.

use std::{
    io::{self, Read as _, Write as _},
    net::Shutdown,
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixListener as StdListener, UnixStream as StdStream},
    },
    sync::Arc,
    time::Duration,
};

use ocmt_crypto::{
    cell::MAX_POLICY_DOCUMENT,
    connect::ProviderName,
    transcript::MAX_RECORD,
    unlock::{MAX_INBOX_NAME, MAX_INBOX_VALUE},
};
use rustix::process::Pid;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
    sync::{Semaphore, oneshot},
    task::JoinSet,
    time,
};
use zeroize::Zeroizing;

use crate::{CellError, cell::Cell, environment, tree};

/// Callers at the same time.
const MAX_CALLERS: usize = 16;
/// A request is this fast, or is cut off.
const REQUEST_WITHIN: Duration = Duration::from_secs(10);
/// How long a maker waits for the confirmation.
const STORED_WITHIN: Duration = Duration::from_secs(60);
/// What is left of a request that was answered early is read for so long, and so much of it.
const REST_WITHIN: Duration = Duration::from_secs(1);
const MAX_REQUEST: u64 = 320 * 1024;
/// Longest text of a refusal, and longest token, in bytes.
const MAX_TEXT: usize = 1024;
const MAX_TOKEN: u64 = 16 * 1024;
const NO_WORD: &str = "no confirmation came in time: it may be stored, or not";

/// First byte of a request.
const PUT: u8 = 1;
const TOKEN: u8 = 2;
const POLICY: u8 = 3;
const BEGIN: u8 = 4;
const SAY: u8 = 5;
const SAY_LAST: u8 = 6;
const CONVERSATIONS: u8 = 7;

/// First byte of an answer; what was asked for follows.
const DONE: u8 = 0;
const REFUSED: u8 = 1;

/// Where it listens; its name goes into the environment of what runs below the cell.
///
/// # Errors
/// [`CellError::Io`].
pub fn open() -> Result<UnixListener, CellError> {
    let failed = |source| CellError::Io { what: "open the door to the vault", source };
    let name = format!("ocmt-cell-{}", data_encoding::HEXLOWER.encode(&rand::random::<[u8; 16]>()));
    let address = SocketAddr::from_abstract_name(&name).map_err(failed)?;
    let listener = StdListener::bind_addr(&address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    environment::open_door(name);
    UnixListener::from_std(listener).map_err(failed)
}

/// Serves callers until it is dropped.
pub async fn serve(listener: UnixListener, cell: Arc<Cell>) {
    let (room, mut callers) = (Arc::new(Semaphore::new(MAX_CALLERS)), JoinSet::new());
    loop {
        // it is never closed
        let Ok(seat) = Arc::clone(&room).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a caller was not taken");
                time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let cell = Arc::clone(&cell);
        callers.spawn(async move {
            let _seat = seat;
            if let Err(error) = answer(stream, &cell).await {
                tracing::debug!(%error, "a caller went away");
            }
        });
        while callers.try_join_next().is_some() {}
    }
}

async fn answer(mut stream: UnixStream, cell: &Arc<Cell>) -> io::Result<()> {
    let (code, text) = match served(&mut stream, cell).await {
        Ok(Ok(text)) => (DONE, text),
        Ok(Err(why)) => (REFUSED, Zeroizing::new(clip(&why, MAX_TEXT).to_owned())),
        Err(error) => (REFUSED, Zeroizing::new(clip(&error.to_string(), MAX_TEXT).to_owned())),
    };
    stream.write_u8(code).await?;
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await?;
    // closed with something unread, the caller would lose the answer to a reset
    let mut rest = stream.take(MAX_REQUEST);
    // an error is the time running out: whoever does not end is cut off
    let _ = time::timeout(REST_WITHIN, tokio::io::copy(&mut rest, &mut tokio::io::sink())).await;
    Ok(())
}

fn clip(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or_default()
}

/// What a caller wants.
enum Wanted {
    /// A value goes to the vault.
    Put(Zeroizing<String>, Zeroizing<Vec<u8>>),
    /// The token of a provider.
    Token(Zeroizing<String>),
    /// What the agents may do.
    Policy,
    /// A new conversation.
    Begin,
    /// Something goes into a conversation; whether it is the last.
    Say(Zeroizing<String>, Zeroizing<Vec<u8>>, bool),
    /// Which conversations there are to write.
    Conversations,
}

async fn served(
    stream: &mut UnixStream,
    cell: &Arc<Cell>,
) -> Result<Result<Zeroizing<String>, String>, CellError> {
    let failed = |source| CellError::Io { what: "read the request", source };
    let caller = stream.peer_cred().map_err(failed)?.pid().and_then(Pid::from_raw);
    if !caller.is_some_and(|caller| tree::descendants().contains(&caller)) {
        return Err(CellError::Invalid("only what runs in this container may ask"));
    }
    let request = time::timeout(REQUEST_WITHIN, read(stream)).await;
    let wanted = request.map_err(|_| CellError::Invalid("the request did not come in time"))??;
    cell.opened().await;
    match wanted {
        Wanted::Put(name, value) => {
            let done = cell.put(&name, value)?;
            Ok(settled(done, |()| String::new()).await)
        }
        Wanted::Token(provider) => {
            let provider =
                ProviderName::new(&provider).map_err(|_| CellError::Invalid("that is no provider's name"))?;
            Ok(Ok(cell.access_token(provider).await?))
        }
        Wanted::Begin => match time::timeout(STORED_WITHIN, cell.begin_conversation()).await {
            Ok(begun) => Ok(begun?.map(|id| Zeroizing::new(id.to_string()))),
            Err(_) => Ok(Err("no confirmation came in time: it may be there, or not".to_owned())),
        },
        Wanted::Say(conversation, text, last) => {
            let conversation =
                conversation.parse().map_err(|_| CellError::Invalid("that is no conversation's id"))?;
            let done = cell.say(conversation, text, last)?;
            Ok(settled(done, |sequence| sequence.to_string()).await)
        }
        Wanted::Conversations => {
            let ids: Vec<String> = cell.conversations()?.iter().map(ToString::to_string).collect();
            Ok(Ok(Zeroizing::new(ids.join("\n"))))
        }
        Wanted::Policy => {
            let document = cell.policies().document().ok_or(CellError::NoPolicy)?;
            Ok(Ok(Zeroizing::new(String::from_utf8_lossy(&document).into_owned())))
        }
    }
}

async fn read(stream: &mut UnixStream) -> Result<Wanted, CellError> {
    let failed = |source| CellError::Io { what: "read the request", source };
    let wanted = stream.read_u8().await.map_err(failed)?;
    let most = match wanted {
        POLICY => return Ok(Wanted::Policy),
        BEGIN => return Ok(Wanted::Begin),
        CONVERSATIONS => return Ok(Wanted::Conversations),
        PUT | TOKEN => MAX_INBOX_VALUE,
        SAY | SAY_LAST => MAX_RECORD,
        _ => return Err(CellError::Invalid("the cell is of another version than the program that asks")),
    };
    let name_len = usize::from(stream.read_u16().await.map_err(failed)?);
    if name_len > 3 * MAX_INBOX_NAME {
        return Err(CellError::Invalid("the name is longer than 255 bytes"));
    }
    let mut name = Zeroizing::new(vec![0; name_len]);
    stream.read_exact(&mut name).await.map_err(failed)?;
    let text = std::str::from_utf8(&name).map_err(|_| CellError::Invalid("the name is not text"))?;
    let text = Zeroizing::new(text.to_owned());
    if wanted == TOKEN {
        return Ok(Wanted::Token(text));
    }
    let value_len = usize::try_from(stream.read_u32().await.map_err(failed)?).unwrap_or(usize::MAX);
    if value_len > most {
        return Err(CellError::Invalid(too_long(most)));
    }
    let mut value = Zeroizing::new(vec![0; value_len]);
    stream.read_exact(&mut value).await.map_err(failed)?;
    Ok(if wanted == PUT { Wanted::Put(text, value) } else { Wanted::Say(text, value, wanted == SAY_LAST) })
}

const fn too_long(most: usize) -> &'static str {
    if most == MAX_RECORD { "the record is longer than 256 KiB" } else { "the value is longer than 64 KiB" }
}

/// Until it is known what became of something that goes to the node.
async fn settled<T>(
    done: oneshot::Receiver<Result<T, String>>,
    words: impl FnOnce(T) -> String,
) -> Result<Zeroizing<String>, String> {
    match time::timeout(STORED_WITHIN, done).await {
        Ok(Ok(settled)) => settled.map(|it| Zeroizing::new(words(it))),
        Ok(Err(_)) | Err(_) => Err(NO_WORD.to_owned()),
    }
}

/// `ocmt-cell token`: the token of a provider, for whoever runs it.
///
/// # Errors
/// In words for whoever runs it.
pub fn token(provider: &str) -> Result<Zeroizing<String>, String> {
    done(ask(TOKEN, provider, None)?)
}

/// `ocmt-cell policy`: what the agents may do, as the cell holds it.
///
/// # Errors
/// In words for whoever runs it.
pub fn policy() -> Result<Zeroizing<String>, String> {
    done(ask(POLICY, "", None)?)
}

fn done((code, text): (u8, Zeroizing<String>)) -> Result<Zeroizing<String>, String> {
    if code == DONE { Ok(text) } else { Err(text.as_str().to_owned()) }
}

/// `ocmt-cell put`: sends standard input under `name`, and waits until it is stored.
///
/// # Errors
/// In words for whoever runs it.
pub fn put(name: &str) -> Result<(), String> {
    done(ask(PUT, name, Some(&standard_input(MAX_INBOX_VALUE)?))?).map(drop)
}

/// `ocmt-cell conversation begin`: the id of a new conversation.
///
/// # Errors
/// In words for whoever runs it.
pub fn begin() -> Result<Zeroizing<String>, String> {
    done(ask(BEGIN, "", None)?)
}

/// `ocmt-cell conversation ls`: the conversations that the workload may write.
///
/// # Errors
/// In words for whoever runs it.
pub fn conversations() -> Result<Zeroizing<String>, String> {
    done(ask(CONVERSATIONS, "", None)?)
}

/// `ocmt-cell conversation say`: sends standard input as a record, and waits until it is stored; its sequence.
///
/// # Errors
/// In words for whoever runs it.
pub fn say(conversation: &str, last: bool) -> Result<Zeroizing<String>, String> {
    let wanted = if last { SAY_LAST } else { SAY };
    done(ask(wanted, conversation, Some(&standard_input(MAX_RECORD)?))?)
}

fn standard_input(most: usize) -> Result<Zeroizing<Vec<u8>>, String> {
    // room for all of it at once: a buffer that grows leaves pieces behind
    let mut value = Zeroizing::new(Vec::with_capacity(most + 1));
    let read = io::stdin().lock().take(most as u64 + 1).read_to_end(&mut value);
    read.map_err(|error| format!("cannot read standard input: {error}"))?;
    if value.len() > most {
        return Err(too_long(most).to_owned());
    }
    Ok(value)
}

fn ask(wanted: u8, name: &str, value: Option<&[u8]>) -> Result<(u8, Zeroizing<String>), String> {
    let Some(door) = std::env::var_os(environment::DOOR) else {
        return Err(format!("{} is not set: this runs inside an OCMT container", environment::DOOR));
    };
    let asked = ask_at(door.as_encoded_bytes(), wanted, name, value);
    asked.map_err(|error| format!("the cell does not answer: {error}"))
}

fn ask_at(door: &[u8], wanted: u8, name: &str, value: Option<&[u8]>) -> io::Result<(u8, Zeroizing<String>)> {
    let too_long = |_| io::Error::from(io::ErrorKind::InvalidInput);
    let mut stream = StdStream::connect_addr(&SocketAddr::from_abstract_name(door)?)?;
    let mut head = vec![wanted];
    head.extend(u16::try_from(name.len()).map_err(too_long)?.to_be_bytes());
    head.extend(name.as_bytes());
    if let Some(value) = value {
        head.extend(u32::try_from(value.len()).map_err(too_long)?.to_be_bytes());
    }
    stream.write_all(&head)?;
    // a cell that refuses early has answered already
    let _ = stream.write_all(value.unwrap_or_default()).and_then(|()| stream.shutdown(Shutdown::Write));
    let mut code = [0];
    stream.read_exact(&mut code)?;
    let most = if wanted == POLICY { MAX_POLICY_DOCUMENT as u64 } else { MAX_TOKEN };
    let mut text = Zeroizing::new(String::with_capacity(16 * 1024));
    stream.take(most).read_to_string(&mut text)?;
    Ok((code[0], text))
}
