//! A TCP line to a server that can be cut and mended, or is slow.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy, copy_bidirectional},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

/// Bytes that a slow line takes at a time from who has dialled.
const PIECE: usize = 1024;

/// The line; ends with its value.
pub struct Line {
    address: SocketAddr,
    whole: watch::Sender<bool>,
    _tasks: JoinSet<()>,
}

impl Line {
    /// A line to `server`, `HOST:PORT`.
    ///
    /// # Errors
    /// No port is free.
    pub async fn to(server: String) -> anyhow::Result<Self> {
        Self::with(server, None).await
    }

    /// One that carries what is sent to the server a KiB at a time, with this pause behind each: what takes several messages can
    /// be met in its middle, however late whoever looks is.
    ///
    /// # Errors
    /// No port is free.
    pub async fn slow(server: String, pause: Duration) -> anyhow::Result<Self> {
        Self::with(server, Some(pause)).await
    }

    async fn with(server: String, pause: Option<Duration>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (whole, seen) = watch::channel(true);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut links = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                links.spawn(link(client, server.clone(), pause, seen.clone()));
            }
        });
        Ok(Self { address, whole, _tasks: tasks })
    }

    /// Where it begins.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends every connection, and each new one at once, until it is mended.
    pub fn cut(&self) {
        self.whole.send_replace(false);
    }

    /// Passes connections on again.
    pub fn mend(&self) {
        self.whole.send_replace(true);
    }
}

async fn link(
    mut client: TcpStream,
    server: String,
    pause: Option<Duration>,
    mut whole: watch::Receiver<bool>,
) {
    if !*whole.borrow_and_update() {
        return;
    }
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    let carried = async {
        match pause {
            None => drop(copy_bidirectional(&mut client, &mut server).await),
            Some(pause) => slowly(client, server, pause).await,
        }
    };
    tokio::select! {
        () = carried => {}
        _ = whole.changed() => {}
    }
}

/// Until either side ends.
async fn slowly(client: TcpStream, server: TcpStream, pause: Duration) {
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (client.into_split(), server.into_split());
    let up = async {
        let mut piece = vec![0; PIECE];
        while let Ok(read @ 1..) = from_client.read(&mut piece).await {
            if to_server.write_all(&piece[..read]).await.is_err() {
                return;
            }
            tokio::time::sleep(pause).await; // why: it is a slow line
        }
    };
    tokio::select! {
        biased;
        () = up => {}
        _ = copy(&mut from_server, &mut to_client) => {}
    }
}
