//! A Redis of one test's own, to be stopped, frozen, filled and forgotten by.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::Duration,
};

use ocmt::local::wait_for;
use rustix::process::{Pid, Signal, kill_process};

pub(crate) struct Server {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = unused_port();
        let server = Self { child: run(port, folder.path()), port, folder };
        server.answers().await;
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// One command, and the first line of its answer.
    pub(crate) fn say(&self, command: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        writeln!(stream, "{command}\r")?;
        let mut answer = BufReader::new(stream);
        let mut line = String::new();
        answer.read_line(&mut line)?;
        // a text comes after its length
        if line.starts_with('$') {
            line.clear();
            answer.read_line(&mut line)?;
        }
        Ok(line.trim_end().to_owned())
    }

    pub(crate) fn set(&self, key: &str, text: &str) {
        assert_eq!(self.say(&format!("SET {key} \"{text}\"")).unwrap(), "+OK");
    }

    pub(crate) fn stop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) async fn start_again(&mut self) {
        self.child = run(self.port, self.folder.path());
        self.answers().await;
    }

    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    async fn answers(&self) {
        let look = async || self.say("PING").ok().filter(|answer| answer == "+PONG");
        wait_for(Duration::from_secs(90), look)
            .await
            .expect("redis-server does not answer: is it installed (tests/scripts/install.sh test)?");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Below those that the kernel gives to whoever asks for any: it is this test's also while nothing listens there.
fn unused_port() -> u16 {
    let is_unused = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    std::iter::repeat_with(|| rand::random_range(20_000..32_000)).find(is_unused).unwrap()
}

fn run(port: u16, folder: &std::path::Path) -> Child {
    let port = port.to_string();
    Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--port", &port, "--save", "", "--appendonly", "no", "--dir"])
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server: run tests/scripts/install.sh test")
}
