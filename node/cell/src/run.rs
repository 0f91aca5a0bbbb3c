//! Puts the cell together and keeps it until a signal ends it: what PID 1 has to do.

use std::{env, io::Write as _, sync::Arc, time::Duration};

use ocmt_crypto::{
    cell::{CellPlace, StartSecret},
    sealed_volume::VolumePlace,
};
use ocmt_types::{Clock, SystemClock};
use rustix::process::Signal;
use tokio::{
    net::TcpListener,
    signal::unix::{self, SignalKind},
    sync::oneshot,
    time,
};

use crate::{
    CellError,
    cell::Cell,
    children::Children,
    cli::RunOptions,
    door, guard,
    sealed::{SealedVolume, VolumeError},
    service, start_secret,
    tasks::{self, Task},
    workload::WorkloadSpec,
};

/// How long the start secret may take to come after the start.
const START_SECRET_WITHIN: Duration = Duration::from_secs(60);
/// How long open calls may take to end once the cell stops.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// Runs the cell until SIGTERM, SIGINT or SIGQUIT. The memory guard is on already.
///
/// # Errors
/// [`CellError`] if it cannot be set up, or could not empty its volume; a workload that fails is not an error of the cell.
pub async fn run(options: RunOptions) -> Result<(), CellError> {
    let mut signals = Signals::listen()?;
    guard::adopt_orphans()?;
    let listener =
        TcpListener::bind(options.listen).await.map_err(|source| CellError::Io { what: "listen", source })?;
    announce(&listener)?;

    let start_secret = tokio::select! {
        secret = receive_start_secret() => secret?,
        () = signals.stop() => return Ok(()),
    };
    let token = start_secret.control_token().map_err(|_| CellError::Invalid("no control token"))?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let children = Arc::new(Children::reaping_all());
    let place =
        CellPlace { tenant: options.tenant, container: options.container, generation: options.generation };
    let volume = sealed_of(&options, place)?;
    let cell = Cell::new(place, start_secret, spec_of(&options), volume, Arc::clone(&children), clock);
    let _door = Task::start(door::serve(door::open()?, Arc::clone(&cell)));
    cell.start_locked_workload();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = Task::start(service::serve(listener, Arc::clone(&cell), token, async {
        let _ = stopped.await;
    }));
    let ended = until_stopped(&mut signals, &cell, &children).await;
    tracing::info!("stopping");
    // reaping goes on while the workload ends
    let locking = cell.stop();
    tokio::pin!(locking);
    loop {
        tokio::select! {
            () = &mut locking => break,
            signalled = signals.next() => {
                if matches!(signalled, Signalled::Stop) {
                    cell.signal_workload(Signal::KILL);
                }
                children.reap();
            }
        }
    }
    // the receiver is gone if the server ended by itself
    let _ = stop.send(());
    if time::timeout(CLOSE_WITHIN, async {
        while !server.is_finished() {
            time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .is_err()
    {
        tracing::debug!("open calls cut off");
    }
    server.end().await;
    ended
}

/// Until a signal stops it, or it must not go on.
async fn until_stopped(
    signals: &mut Signals,
    cell: &Arc<Cell>,
    children: &Children,
) -> Result<(), CellError> {
    loop {
        let signalled = tokio::select! {
            biased;
            () = cell.not_emptied() => return Err(VolumeError::NotEmptied.into()),
            signalled = signals.next() => signalled,
        };
        match signalled {
            Signalled::Stop => return Ok(()),
            Signalled::Child => {
                let orphans = children.reap();
                if orphans > 0 {
                    tracing::debug!(orphans, "orphans reaped");
                }
            }
            Signalled::PassOn(signal) => cell.signal_workload(signal),
        }
    }
}

fn spec_of(options: &RunOptions) -> WorkloadSpec {
    WorkloadSpec {
        argv: options.workload.clone(),
        port: options.workload_port,
        stop_grace: options.stop_grace(),
        plain: options.plain,
        start_locked: options.start_locked,
    }
}

/// The working folder as a sealed volume, and how often it is sealed.
fn sealed_of(options: &RunOptions, place: CellPlace) -> Result<Option<(SealedVolume, Duration)>, CellError> {
    let Some(sealed) = &options.sealed_at else { return Ok(None) };
    let clear = env::current_dir().map_err(|source| CellError::Io { what: "find the volume", source })?;
    let place = VolumePlace { tenant: place.tenant, container: place.container };
    let volume = SealedVolume::new(place, clear, sealed.clone());
    // what a cell that was killed has left in memory of a container that lives on
    volume.clear()?;
    Ok(Some((volume, Duration::from_millis(options.seal_every_ms))))
}

/// The one line on standard output: runtimes learn the address from it.
fn announce(listener: &TcpListener) -> Result<(), CellError> {
    let announcing = |source| CellError::Io { what: "announce the address", source };
    let address = listener.local_addr().map_err(announcing)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "ocmt-cell listening {address}").and_then(|()| out.flush()).map_err(announcing)
}

async fn receive_start_secret() -> Result<StartSecret, CellError> {
    let reading = tasks::blocking(|| {
        let secret = start_secret::read_from(std::io::stdin())?;
        start_secret::close_stdin()?;
        Ok(secret)
    });
    match time::timeout(START_SECRET_WITHIN, reading).await {
        Ok(Ok(secret)) => secret.map(|secret| StartSecret::from_bytes(*secret.expose())),
        Ok(Err(source)) => Err(CellError::Io { what: "read the start secret", source }),
        Err(_) => Err(CellError::StartSecret("standard input stayed silent for 60 s")),
    }
}

enum Signalled {
    Stop,
    Child,
    PassOn(Signal),
}

/// Handlers for what PID 1 would otherwise ignore.
struct Signals {
    term: unix::Signal,
    int: unix::Signal,
    quit: unix::Signal,
    child: unix::Signal,
    hup: unix::Signal,
    usr1: unix::Signal,
    usr2: unix::Signal,
}

impl Signals {
    fn listen() -> Result<Self, CellError> {
        let on = |kind| unix::signal(kind).map_err(|source| CellError::Io { what: "handle signals", source });
        Ok(Self {
            term: on(SignalKind::terminate())?,
            int: on(SignalKind::interrupt())?,
            quit: on(SignalKind::quit())?,
            child: on(SignalKind::child())?,
            hup: on(SignalKind::hangup())?,
            usr1: on(SignalKind::user_defined1())?,
            usr2: on(SignalKind::user_defined2())?,
        })
    }

    async fn next(&mut self) -> Signalled {
        tokio::select! {
            _ = self.term.recv() => Signalled::Stop,
            _ = self.int.recv() => Signalled::Stop,
            _ = self.quit.recv() => Signalled::Stop,
            _ = self.child.recv() => Signalled::Child,
            _ = self.hup.recv() => Signalled::PassOn(Signal::HUP),
            _ = self.usr1.recv() => Signalled::PassOn(Signal::USR1),
            _ = self.usr2.recv() => Signalled::PassOn(Signal::USR2),
        }
    }

    async fn stop(&mut self) {
        while !matches!(self.next().await, Signalled::Stop) {}
    }
}
