//! The workload's way to its user's vault: `ocmt-cell put NAME` inside the container, over a socket that
//! only what runs below the cell is served on.
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

use ocmt_crypto::unlock::{MAX_INBOX_NAME, MAX_INBOX_VALUE};
use rustix::process::Pid;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
    sync::Semaphore,
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
const MAX_REQUEST: u64 = 128 * 1024;
/// Longest text of an answer, in bytes.
const MAX_TEXT: usize = 1024;

/// First byte of an answer.
const STORED: u8 = 0;
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

async fn answer(mut stream: UnixStream, cell: &Cell) -> io::Result<()> {
    let settled = match served(&mut stream, cell).await {
        Ok(settled) => settled,
        Err(error) => Err(error.to_string()),
    };
    let (code, text) = match settled {
        Ok(()) => (STORED, String::new()),
        Err(why) => (REFUSED, why),
    };
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    stream.write_u8(code).await?;
    stream.write_all(text.get(..end).unwrap_or_default().as_bytes()).await?;
    stream.shutdown().await?;
    // closed with something unread, the caller would lose the answer to a reset
    let mut rest = stream.take(MAX_REQUEST);
    // an error is the time running out: whoever does not end is cut off
    let _ = time::timeout(REST_WITHIN, tokio::io::copy(&mut rest, &mut tokio::io::sink())).await;
    Ok(())
}

async fn served(stream: &mut UnixStream, cell: &Cell) -> Result<Result<(), String>, CellError> {
    let failed = |source| CellError::Io { what: "read the request", source };
    let caller = stream.peer_cred().map_err(failed)?.pid().and_then(Pid::from_raw);
    if !caller.is_some_and(|caller| tree::descendants().contains(&caller)) {
        return Err(CellError::Invalid("only what runs in this container may ask"));
    }
    let request = time::timeout(REQUEST_WITHIN, read(stream)).await;
    let (name, value) = request.map_err(|_| CellError::Invalid("the request did not come in time"))??;
    let settled = cell.put(&name, value)?;
    match time::timeout(STORED_WITHIN, settled).await {
        Ok(Ok(settled)) => Ok(settled),
        Ok(Err(_)) | Err(_) => Ok(Err("no confirmation came in time: it may be stored, or not".to_owned())),
    }
}

async fn read(stream: &mut UnixStream) -> Result<(Zeroizing<String>, Zeroizing<Vec<u8>>), CellError> {
    let failed = |source| CellError::Io { what: "read the request", source };
    let name_len = usize::from(stream.read_u16().await.map_err(failed)?);
    if name_len > 3 * MAX_INBOX_NAME {
        return Err(CellError::Invalid("the name is longer than 255 bytes"));
    }
    let mut name = Zeroizing::new(vec![0; name_len]);
    stream.read_exact(&mut name).await.map_err(failed)?;
    let value_len = usize::try_from(stream.read_u32().await.map_err(failed)?).unwrap_or(usize::MAX);
    if value_len > MAX_INBOX_VALUE {
        return Err(CellError::Invalid("the value is longer than 64 KiB"));
    }
    let mut value = Zeroizing::new(vec![0; value_len]);
    stream.read_exact(&mut value).await.map_err(failed)?;
    let name = std::str::from_utf8(&name).map_err(|_| CellError::Invalid("the name is not text"))?;
    Ok((Zeroizing::new(name.to_owned()), value))
}

/// `ocmt-cell put`: sends standard input under `name`, and waits until it is stored.
///
/// # Errors
/// In words for whoever runs it.
pub fn put(name: &str) -> Result<(), String> {
    let Some(door) = std::env::var_os(environment::DOOR) else {
        return Err(format!("{} is not set: this runs inside an OCMT container", environment::DOOR));
    };
    // room for all of it at once: a buffer that grows leaves pieces behind
    let mut value = Zeroizing::new(Vec::with_capacity(MAX_INBOX_VALUE + 1));
    let most = MAX_INBOX_VALUE as u64 + 1;
    let read = io::stdin().lock().take(most).read_to_end(&mut value);
    read.map_err(|error| format!("cannot read standard input: {error}"))?;
    if value.len() > MAX_INBOX_VALUE {
        return Err("the value is longer than 64 KiB".to_owned());
    }
    let asked = ask(door.as_encoded_bytes(), name, &value);
    let (code, text) = asked.map_err(|error| format!("the cell does not answer: {error}"))?;
    if code == STORED { Ok(()) } else { Err(text) }
}

fn ask(door: &[u8], name: &str, value: &[u8]) -> io::Result<(u8, String)> {
    let too_long = |_| io::Error::from(io::ErrorKind::InvalidInput);
    let mut stream = StdStream::connect_addr(&SocketAddr::from_abstract_name(door)?)?;
    stream.write_all(&u16::try_from(name.len()).map_err(too_long)?.to_be_bytes())?;
    stream.write_all(name.as_bytes())?;
    stream.write_all(&u32::try_from(value.len()).map_err(too_long)?.to_be_bytes())?;
    // a cell that refuses early has answered already
    let _ = stream.write_all(value).and_then(|()| stream.shutdown(Shutdown::Write));
    let mut code = [0];
    stream.read_exact(&mut code)?;
    let mut text = String::new();
    stream.take(MAX_TEXT as u64).read_to_string(&mut text)?;
    Ok((code[0], text))
}
