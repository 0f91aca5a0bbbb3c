//! A stand-in for `ocmt-cell`, of the standard library alone, so that `rustc` makes it static in a second.
//!
//! It keeps the cell's side of the start (32 bytes of standard input to their end, the line on standard
//! output, a TCP port) and then does, on a line over TCP, what a test wants to see from inside.

use std::{
    fs,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream, ToSocketAddrs as _},
    process::Command,
    thread,
    time::{Duration, Instant},
};

unsafe extern "C" {
    fn syscall(number: i64, ...) -> i64;
}

/// Writes to a file until it may not, or 64 MiB are in it: how many MiB, and why it stopped.
fn fill(path: &str) -> (usize, Option<io::ErrorKind>) {
    let mut file = match fs::File::create(path) {
        Ok(file) => file,
        Err(error) => return (0, Some(error.kind())),
    };
    let stopped = (0..64).map(|_| file.write_all(&[1; 1 << 20])).position(|wrote| wrote.is_err());
    let why = stopped.and_then(|_| file.write_all(&[1; 1 << 20]).err().map(|error| error.kind()));
    (stopped.unwrap_or(64), why)
}

/// `NUMBER ARGUMENT…`: a system call by its number, as whoever looks for a way out makes it.
fn call(rest: &str) -> io::Result<i64> {
    let numbers = rest.split(' ').map(|word| word.parse::<i64>());
    let numbers: Vec<i64> = numbers.collect::<Result<_, _>>().map_err(|_| io::ErrorKind::InvalidInput)?;
    let at = |index: usize| numbers.get(index).copied().unwrap_or(0);
    // SAFETY: tests ask for calls alone that take no address, or the null one
    let answer = unsafe { syscall(at(0), at(1), at(2), at(3), at(4), at(5)) };
    if answer == -1 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}

fn main() -> io::Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let after = |flag: &str| args.iter().position(|arg| arg == flag).map_or(args.len(), |at| at + 1);
    if args.get(1).is_some_and(|arg| arg == "child") {
        loop {
            thread::sleep(Duration::from_secs(3600)); // why: it plays a program that runs until it is killed
        }
    }
    let mut secret = Vec::new();
    io::stdin().read_to_end(&mut secret)?;
    let workload = args.get(after("--")..).unwrap_or_default().first().map_or("", String::as_str);
    match workload {
        "silent" => loop {
            thread::sleep(Duration::from_secs(3600)); // why: it plays a program that runs until it is killed
        },
        "dies" => {
            eprintln!("no such workload");
            std::process::exit(3);
        }
        "family" => {
            use std::os::unix::process::CommandExt as _;
            // one in the cell's group, one in a group of its own
            Command::new(std::env::current_exe()?).arg("child").spawn()?;
            Command::new(std::env::current_exe()?).arg("child").process_group(0).spawn()?;
        }
        _ => {}
    }
    let listener = TcpListener::bind(args.get(after("--listen")).map_or("0.0.0.0:7450", String::as_str))?;
    println!("ocmt-cell listening {}", listener.local_addr()?);
    for stream in listener.incoming().flatten() {
        let secret = secret.clone();
        thread::spawn(move || serve(stream, &secret));
    }
    Ok(())
}

/// `PROXY LINE`: asks a proxy with this request line, and says all that comes back.
fn via(rest: &str) -> io::Result<String> {
    let (proxy, line) = rest.split_once(' ').unwrap_or((rest, ""));
    let address = proxy.parse().map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(stream, "{line} HTTP/1.1\r\nHost: x\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn serve(stream: TcpStream, secret: &[u8]) -> io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let mut stream = stream;
    while let Some(Ok(line)) = lines.next() {
        let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let answer = match verb {
            "secret" => secret.iter().map(|byte| format!("{byte:02x}")).collect(),
            "env" => std::env::vars().map(|(key, _)| key).collect::<Vec<_>>().join(" "),
            "cwd" => format!("{:?}", std::env::current_dir()),
            "read" => format!("{:?}", fs::read_to_string(rest)),
            "write" => format!("{:?}", fs::write(rest, "written").map_err(|error| error.kind())),
            "connect" => match rest.parse() {
                Ok(address) => format!("{:?}", TcpStream::connect_timeout(&address, Duration::from_secs(2)).map(|_| ()).map_err(|e| e.kind())),
                Err(_) => "no address".to_owned(),
            },
            "resolve" => {
                let start = Instant::now();
                let found = (rest, 80).to_socket_addrs().is_ok();
                format!("{found} {}", start.elapsed().as_millis())
            }
            "syscall" => format!("{:?}", call(rest).map(|_| ()).map_err(|error| error.raw_os_error())),
            "fill" => format!("{:?}", fill(rest)),
            "via" => format!("{:?}", via(rest).map_err(|error| error.kind())),
            "eat" => {
                let mut eaten = Vec::new();
                for _ in 0..rest.parse().unwrap_or(0) {
                    eaten.push(vec![1_u8; 1 << 20]);
                }
                eaten.len().to_string()
            }
            "exit" => std::process::exit(rest.parse().unwrap_or(1)),
            _ => "pong".to_owned(),
        };
        writeln!(stream, "{answer}")?;
    }
    Ok(())
}
