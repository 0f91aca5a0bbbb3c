//! Cells that run nothing, as child processes: they isolate as little as everything here.

use std::process::Stdio;

use futures_util::FutureExt as _;
use tokio::{io::AsyncWriteExt as _, process::Command};

use super::Shared;
use crate::{ArchiveCell, ArchiveErrand, ContainerSpec, RuntimeError, StartSecret, archive, volume};

pub(super) async fn start(
    shared: &Shared,
    spec: &ContainerSpec,
    errand: ArchiveErrand,
    secret: &StartSecret,
) -> Result<ArchiveCell, RuntimeError> {
    let container = spec.container_ref();
    let running = shared.with(&container, |cell| cell.observed().state);
    if let Some(state) = running.filter(|state| matches!(state, crate::State::Running | crate::State::Paused))
    {
        return Err(RuntimeError::conflict(&container, "take a snapshot of", state));
    }
    let whose = (spec.tenant, spec.user);
    let folder = volume::on_disk(&shared.config.data_dir, move |data_dir| {
        archive::open(data_dir, whose, errand, None)
    })
    .await?;
    let mut child = Command::new(&shared.config.cell)
        .args(archive::args(spec, errand))
        .env_clear()
        .current_dir(&folder.path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(RuntimeError::io("start the cell"))?;
    let gone = || RuntimeError::StartFailed { container, why: "it ended at once".to_owned() };
    let (mut to, from) = (child.stdin.take().ok_or_else(gone)?, child.stdout.take().ok_or_else(gone)?);
    // one that ended says so by saying nothing
    let _ = to.write_all(secret.expose()).await;
    let end = async move {
        // it may have ended by itself
        let _ = child.kill().await;
    };
    Ok(ArchiveCell { to: Box::new(to), from: Box::new(from), end: end.boxed() })
}
