//! What the tests stand on: a real cell process, the node's side of its control port, and the
//! user's side of unlock and channel, all with the real cryptography.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    dead_code,
    missing_docs,
    unreachable_pub
)]

pub mod channel;
pub mod policy;
pub mod user;

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    os::unix::{fs::FileExt as _, process::CommandExt as _},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use ocmt_cell::auth::CONTROL_TOKEN;
use ocmt_crypto::cell::{CellPlace, StartSecret};
use ocmt_proto::cell::v1::{
    StatusRequest, StatusResponse, WorkloadState, cell_service_client::CellServiceClient,
};
use ocmt_types::{IdGen, RandomIds};
use tempfile::TempDir;
use tonic::{
    Request, Status,
    service::{Interceptor, interceptor::InterceptedService},
    transport::Channel,
};

pub const CELL: &str = env!("CARGO_BIN_EXE_ocmt-cell");
pub const WORKLOAD: &str = env!("CARGO_BIN_EXE_ocmt-demo-workload");
/// Bound of every wait for a level.
pub const SOON: Duration = Duration::from_secs(60);

pub type Client = CellServiceClient<InterceptedService<Channel, ShowToken>>;

#[derive(Clone)]
pub struct ShowToken(pub String);

impl Interceptor for ShowToken {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert(CONTROL_TOKEN, self.0.parse().unwrap());
        Ok(request)
    }
}

pub fn id<I: ocmt_types::Id>() -> I {
    let ids: &dyn IdGen = &RandomIds;
    ids.id()
}

/// Below those that the kernel gives to whoever asks for any: until a workload listens there it is nobody's.
pub fn free_port() -> u16 {
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    std::iter::repeat_with(|| rand::random_range(20_000..32_000)).find(is_free).unwrap()
}

/// A cell process and what its host knows of it. Killed when dropped.
pub struct TestCell {
    pub child: Child,
    pub address: String,
    pub start: StartSecret,
    pub place: CellPlace,
    errors: Arc<Mutex<Vec<u8>>>,
    _temporary: TempDir,
}

#[derive(Default)]
pub struct Options<'a> {
    pub extra: &'a [&'a str],
    pub workload: &'a [&'a str],
    pub uid: Option<u32>,
    /// A program that starts the cell, with its arguments.
    pub wrap: &'a [&'a str],
    /// Working folder of the cell.
    pub folder: Option<&'a Path>,
    /// Which container it is; a fresh one without.
    pub place: Option<CellPlace>,
}

impl TestCell {
    pub fn start(options: &Options<'_>) -> Self {
        let fresh = CellPlace { tenant: id(), container: id(), generation: 3 };
        let place = options.place.unwrap_or(fresh);
        let mut command = match options.wrap.split_first() {
            Some((wrapper, arguments)) => {
                let mut command = Command::new(wrapper);
                command.args(arguments).arg(CELL);
                command
            }
            None => Command::new(CELL),
        };
        command.args(["run", "--listen", "127.0.0.1:0", "--generation", "3"]);
        command.args(["--tenant", &place.tenant.to_string(), "--container", &place.container.to_string()]);
        command.args(options.extra);
        if !options.workload.is_empty() {
            command.arg("--").args(options.workload);
        }
        if let Some(folder) = options.folder {
            command.current_dir(folder);
        }
        // what it leaves when it is killed goes with the test
        let temporary = TempDir::new().unwrap();
        command.env("TMPDIR", temporary.path());
        if let Some(uid) = options.uid {
            std::os::unix::fs::chown(temporary.path(), Some(uid), Some(uid)).unwrap();
            command.uid(uid).gid(uid);
        }
        // a group of its own, as the process runtime gives it
        command.process_group(0);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();

        let start = StartSecret::generate(&mut rand::rng());
        child.stdin.take().unwrap().write_all(start.expose()).unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line
            .trim()
            .strip_prefix("ocmt-cell listening ")
            .unwrap_or_else(|| panic!("first line: {line:?}"))
            .to_owned();
        let errors = Arc::new(Mutex::new(Vec::new()));
        let (mut pipe, sink) = (child.stderr.take().unwrap(), Arc::clone(&errors));
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(len @ 1..) = pipe.read(&mut chunk) {
                sink.lock().unwrap().extend_from_slice(&chunk[..len]);
            }
        });
        Self { child, address, start, place, errors, _temporary: temporary }
    }

    /// The host, which gives the cell its policy first.
    pub async fn client(&self) -> Client {
        let mut client = self.bare_client().await;
        client.put_agent_policy(policy::Host::of(self).gives(1, "{}")).await.unwrap();
        client
    }

    /// The host, which has given nothing.
    pub async fn bare_client(&self) -> Client {
        self.client_with(self.start.control_token().unwrap().expose()).await
    }

    pub async fn client_with(&self, token: &str) -> Client {
        CellServiceClient::with_interceptor(self.connect().await, ShowToken(token.to_owned()))
    }

    pub async fn connect(&self) -> Channel {
        Channel::from_shared(format!("http://{}", self.address)).unwrap().connect().await.unwrap()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn errors(&self) -> String {
        String::from_utf8_lossy(&self.errors.lock().unwrap()).into_owned()
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal).unwrap();
    }

    pub async fn exited(&mut self) -> ExitStatus {
        let child = &mut self.child;
        level("the cell to exit", || child.try_wait().unwrap()).await
    }

    /// Children of the cell: (pid, state letter).
    pub fn children(&self) -> Vec<(u32, char)> {
        children_of(self.pid())
    }

    pub async fn workload_pid(&self) -> u32 {
        level("a workload", || {
            self.children().into_iter().find(|(_, state)| *state != 'Z').map(|(pid, _)| pid)
        })
        .await
    }
}

impl Drop for TestCell {
    fn drop(&mut self) {
        let group = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- what the cell said ---\n{}", self.errors());
        }
    }
}

pub fn children_of(parent: u32) -> Vec<(u32, char)> {
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse::<u32>().ok())
        .filter_map(|pid| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
            let state = fields.next()?.chars().next()?;
            (fields.next()?.parse::<u32>().ok()? == parent).then_some((pid, state))
        })
        .collect()
}

/// States of a process's threads, its first one's before those of the others.
pub fn threads_of(pid: u32) -> Vec<char> {
    let mut tasks: Vec<(u32, char)> = std::fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .filter_map(|task| {
            let task = task.ok()?;
            let stat = std::fs::read_to_string(task.path().join("stat")).ok()?;
            let state = stat.rsplit_once(')')?.1.trim_start().chars().next()?;
            Some((task.file_name().to_str()?.parse().ok()?, state))
        })
        .collect();
    tasks.sort_unstable_by_key(|(task, _)| (*task != pid, *task));
    tasks.into_iter().map(|(_, state)| state).collect()
}

/// Waits until `look` finds something, at most [`SOON`].
pub async fn level<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let waiting = async {
        loop {
            if let Some(found) = look() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await; // why: the pause between two looks at a level, bounded by the timeout below
        }
    };
    tokio::time::timeout(SOON, waiting).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

pub async fn status(client: &mut Client) -> StatusResponse {
    client.status(StatusRequest {}).await.unwrap().into_inner()
}

pub async fn status_when(
    client: &mut Client,
    what: &str,
    mut is: impl FnMut(&StatusResponse) -> bool,
) -> StatusResponse {
    let waiting = async {
        loop {
            let status = status(client).await;
            if is(&status) {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(5)).await; // why: the pause between two looks at a level, bounded by the timeout below
        }
    };
    tokio::time::timeout(SOON, waiting).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

pub async fn ready(client: &mut Client) {
    status_when(client, "a ready workload", |status| status.workload_state() == WorkloadState::Ready).await;
}

/// How often `mark` stands in the writable memory of a process. Needs root.
pub fn marks_in_memory(pid: u32, mark: &[u8]) -> usize {
    let memory = std::fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let mut found = 0;
    for line in maps.lines() {
        let (range, rest) = line.split_once(' ').unwrap();
        if !rest.starts_with("rw") {
            continue;
        }
        let (start, end) = range.split_once('-').unwrap();
        let (start, end) = (u64::from_str_radix(start, 16).unwrap(), u64::from_str_radix(end, 16).unwrap());
        let mut region = vec![0; usize::try_from(end - start).unwrap()];
        let mut filled = 0;
        while filled < region.len() {
            match memory.read_at(&mut region[filled..], start + filled as u64) {
                Ok(len @ 1..) => filled += len,
                _ => break,
            }
        }
        found += find(&region[..filled], mark);
    }
    found
}

/// A workload or command of the user's own making: a script in a file, as they would bring one.
pub struct Script(String);

impl Script {
    pub fn new(text: &str) -> Self {
        let name = format!("{}/{}", env!("CARGO_TARGET_TMPDIR"), id::<ocmt_types::MessageId>());
        std::fs::write(&name, text).unwrap();
        Self(name)
    }

    pub fn argv(&self) -> [&str; 2] {
        ["sh", &self.0]
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

pub fn find(hay: &[u8], needle: &[u8]) -> usize {
    let mut found = 0;
    let mut rest = hay;
    while let Some(at) = rest.iter().position(|byte| *byte == needle[0]) {
        rest = &rest[at..];
        found += usize::from(rest.starts_with(needle));
        rest = &rest[1..];
    }
    found
}

pub fn is_root() -> bool {
    rustix::process::getuid().is_root()
}
