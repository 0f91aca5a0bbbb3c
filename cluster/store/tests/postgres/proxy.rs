//! A TCP proxy in front of the database that breaks the line where a test wants it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinSet,
};

/// What the proxy does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Line {
    /// Passes everything on.
    Good = 0,
    /// Cuts a connection that says COMMIT, before the server hears it.
    CutBeforeCommit = 1,
    /// Passes the COMMIT on and cuts the connection before its answer.
    CutBeforeAnswer = 2,
    /// Passes nothing on, and says nothing.
    Silent = 3,
    /// Holds a COMMIT back until the line is good.
    HoldCommit = 4,
    /// Passes a COMMIT on and holds its answer back until the line is good.
    HoldAnswer = 5,
    /// Passes everything on, and what the server says a while later.
    Slow = 6,
}

/// How much later. A sign-in needs some six answers.
const WHILE: Duration = Duration::from_millis(150);

/// The proxy; ends with its value.
pub struct Proxy {
    pub port: u16,
    line: Arc<AtomicU8>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    pub async fn start(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let line = Arc::new(AtomicU8::new(Line::Good as u8));
        let mut tasks = JoinSet::new();
        let of_links = Arc::clone(&line);
        tasks.spawn(async move {
            let mut links = JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let server = TcpStream::connect(&server).await.unwrap();
                links.spawn(link(client, server, Arc::clone(&of_links)));
            }
        });
        Self { port, line, _tasks: tasks }
    }

    pub fn set(&self, line: Line) {
        self.line.store(line as u8, Ordering::SeqCst);
    }
}

async fn link(client: TcpStream, server: TcpStream, line: Arc<AtomicU8>) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // whichever direction ends ends the link
    tokio::select! {
        () = pass(from_client, to_server, &line, true) => {}
        () = pass(from_server, to_client, &line, false) => {}
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, line: &AtomicU8, of_client: bool) {
    let (mut bytes, mut committing) = (vec![0; 64 << 10], false);
    loop {
        let Ok(read @ 1..) = from.read(&mut bytes).await else { return };
        let is = |wanted: Line| line.load(Ordering::SeqCst) == wanted as u8;
        let commits = of_client && bytes[..read].windows(7).any(|window| window == b"COMMIT\0");
        if commits && is(Line::CutBeforeCommit) {
            return;
        }
        committing |= commits && is(Line::CutBeforeAnswer);
        if (commits && is(Line::HoldCommit)) || (!of_client && is(Line::HoldAnswer)) {
            while !is(Line::Good) {
                tokio::time::sleep(Duration::from_millis(5)).await; // why: the pause between two looks at the line, which every test sets good again
            }
        }
        if !of_client && is(Line::Slow) {
            tokio::time::sleep(WHILE).await; // why: how slow the line is
        }
        if is(Line::Silent) {
            std::future::pending::<()>().await;
        }
        if to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
        if committing {
            // the server has heard it; its answer never comes, since the other direction ends with this one
            let _ = to.shutdown().await;
            return;
        }
    }
}
