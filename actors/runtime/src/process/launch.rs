//! Starts a cell as a child: empty environment, its own process group, the secret on standard input.

use std::{net::SocketAddr, path::Path, process::Stdio, sync::Arc, time::Duration};

use tokio::{
    io::AsyncWriteExt as _,
    process::{Child, Command},
    sync::watch,
};

use super::{
    Cell, Living, Shared,
    group::{Process, boot_id},
    reaper,
    record::{Run, private},
};
use crate::{CellAddress, ContainerRef, RuntimeError, StartSecret, State, volume};

/// How a cell begins the line that says where it listens.
const LISTENING: &str = "ocmt-cell listening ";

pub(super) async fn launch(
    shared: &Arc<Shared>,
    container: &ContainerRef,
    secret: &StartSecret,
) -> Result<CellAddress, RuntimeError> {
    let (labels, args, state) =
        shared.found(container, |cell| (cell.labels, cell.record.args.clone(), cell.observed().state))?;
    if matches!(state, State::Running | State::Paused) {
        return Err(RuntimeError::conflict(container, "start", state));
    }
    let volume = volume::open(&shared.config.data_dir, labels.tenant, labels.user, None)?;
    let log = shared.records.log(container);
    let mut child = spawn(shared, container, &args, &volume.path)?;
    let gone = || RuntimeError::StartFailed { container: *container, why: "it ended at once".to_owned() };
    let leader = child.id().and_then(|pid| Process::of(i32::try_from(pid).ok()?)).ok_or_else(gone)?;
    if let Some(mut stdin) = child.stdin.take() {
        // a cell that ended breaks the pipe; the wait below says so in better words
        let _ = stdin.write_all(secret.expose()).await;
    }
    let ended = begin(shared, container, child, leader)?;
    let why = match tokio::time::timeout(shared.config.start_within, first_words(&log, ended.clone())).await {
        Ok(Ok(address)) => {
            let record = shared.found(container, |cell| {
                if let Some(run) = &mut cell.record.run {
                    run.address = address;
                }
                cell.record.clone()
            })?;
            shared.records.write(container, &record)?;
            return Ok(CellAddress(address));
        }
        Ok(Err(why)) => why,
        Err(_) => format!("it did not say where it listens within {:?}", shared.config.start_within),
    };
    Living { leader, ended: Some(ended) }.kill().await?;
    Err(RuntimeError::StartFailed { container: *container, why })
}

/// Standard output and error go to a file and not to a pipe: a cell outlives the node that reads it.
fn spawn(
    shared: &Shared,
    container: &ContainerRef,
    args: &[String],
    volume: &Path,
) -> Result<Child, RuntimeError> {
    let log = &shared.records.log(container);
    let io = RuntimeError::io("open the cell's log");
    let (out, err) = private(log).and_then(|out| Ok((out.try_clone()?, out))).map_err(io)?;
    let temporary = shared.records.temporary(container);
    let temporary = temporary.map_err(RuntimeError::io("make the cell's folder for what is temporary"))?;
    Command::new(&shared.config.cell)
        .args(args)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("TMPDIR", temporary)
        .current_dir(volume)
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(out)
        .stderr(err)
        .spawn()
        .map_err(RuntimeError::io("start the cell"))
}

/// Writes the run down before anything can go wrong with it, and has its end watched.
fn begin(
    shared: &Arc<Shared>,
    container: &ContainerRef,
    child: Child,
    leader: Process,
) -> Result<watch::Receiver<bool>, RuntimeError> {
    let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
    let run =
        Run { leader, boot: boot_id(), address: unknown, started_at_ms: shared.config.clock.now().millis() };
    let record = shared.found(container, |cell: &mut Cell| {
        (cell.record.run, cell.record.ended, cell.record.exit_code) = (Some(run), false, None);
        cell.record.clone()
    })?;
    let ended = reaper::watch_child(shared, *container, leader, child);
    shared.found(container, |cell| cell.ended = Some(ended.clone()))?;
    shared.records.write(container, &record)?;
    Ok(ended)
}

/// Reads the log until the cell has said where it listens, or has ended. A file tells nobody that it has
/// grown, so it is read every few milliseconds; the deadline is the caller's.
async fn first_words(log: &Path, ended: watch::Receiver<bool>) -> Result<SocketAddr, String> {
    loop {
        let over = *ended.borrow() || ended.has_changed().is_err();
        let text = tokio::fs::read(log).await.map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&text);
        // a last line without its end may not be whole yet
        let whole = text.rsplit_once('\n').map(|(whole, _)| whole).unwrap_or_default();
        if let Some(address) = whole.lines().find_map(|line| line.strip_prefix(LISTENING)) {
            return address
                .trim()
                .parse()
                .map_err(|_| format!("it listens on {address:?}, which is no address"));
        }
        if over {
            let last = whole.lines().last().unwrap_or("nothing");
            return Err(format!("it ended; its last words were: {last}"));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
