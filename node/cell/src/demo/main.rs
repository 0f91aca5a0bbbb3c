//! `ocmt-demo-workload`: a small real workload for demonstrations and tests.
//!
//! It serves HTTP on `127.0.0.1:$PORT` (8080), proves that it holds `DEMO_SECRET` without showing
//! it, and talks back. `repeat` says everything back that comes in, as `cat` does where there is one.
//! `headless FILE` goes on writing without its first thread; `eat MIB` takes memory; `write FILE TEXT`, `fill FILE MIB` and `read FILE` keep something; `policy` shows the file with what agents may do. `attack PID` is the hostile side: what a workload of the cell's own uid can read of the cell's memory;
//! `escape` is its other side: what it finds that looks for a way out of its container.

mod attack;
mod eat;
mod escape;
mod headless;
mod probe;
mod server;
mod socket;

use std::{
    io::{BufRead as _, Write as _},
    process::ExitCode,
};

use anyhow::Context as _;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let outcome = match (arguments.next().as_deref(), arguments.next(), arguments.next()) {
        (None | Some("serve"), None, _) => serve().map(|()| ExitCode::SUCCESS),
        (Some("repeat"), None, _) => repeat().map(|()| ExitCode::SUCCESS),
        (Some("eat"), Some(mib), None) => eat::run(&mib),
        (Some("headless"), Some(file), None) => headless::run(&file),
        (Some("write"), Some(file), Some(text)) => write(&file, &text).map(|()| ExitCode::SUCCESS),
        (Some("fill"), Some(file), Some(mib)) => fill(&file, &mib).map(|()| ExitCode::SUCCESS),
        (Some("read"), Some(file), None) => read(&file).map(|()| ExitCode::SUCCESS),
        (Some("policy"), None, _) => policy().map(|()| ExitCode::SUCCESS),
        (Some("attack"), Some(pid), mark) => attack::run(&pid, mark.as_deref()),
        (Some("escape"), first, second) => {
            let addresses: Vec<String> = first.into_iter().chain(second).chain(arguments).collect();
            escape::run(&addresses)
        }
        _ => Err(anyhow::anyhow!(
            "usage: ocmt-demo-workload [serve] | repeat | eat MIB | headless FILE | write FILE TEXT | fill FILE MIB | read FILE | policy | attack PID [HEX OF MARKED BYTES] | escape [ADDRESS]..."
        )),
    };
    outcome.unwrap_or_else(|error| {
        // nowhere is left to say that standard error is gone
        let _ = writeln!(std::io::stderr(), "ocmt-demo-workload: {error:#}");
        ExitCode::from(2)
    })
}

/// By lines: whoever said one waits to hear it.
fn repeat() -> anyhow::Result<()> {
    let (mut from, mut to) = (std::io::stdin().lock(), std::io::stdout().lock());
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line)? > 0 {
        to.write_all(&line)?;
        to.flush()?;
        line.clear();
    }
    Ok(())
}

fn write(file: &str, text: &str) -> anyhow::Result<()> {
    std::fs::write(file, text).with_context(|| format!("cannot write {file}"))
}

fn fill(file: &str, mib: &str) -> anyhow::Result<()> {
    let mut to = std::fs::File::create(file).with_context(|| format!("cannot write {file}"))?;
    for _ in 0..mib.parse::<usize>().context("that is no number of MiB")? {
        to.write_all(&vec![7; 1 << 20]).with_context(|| format!("cannot write {file}"))?;
    }
    Ok(())
}

fn read(file: &str) -> anyhow::Result<()> {
    let content = std::fs::read(file).with_context(|| format!("cannot read {file}"))?;
    Ok(std::io::stdout().write_all(&content)?)
}

/// What its agents may do, as the file of the cell says.
fn policy() -> anyhow::Result<()> {
    let file = std::env::var_os("OCMT_AGENT_POLICY").context("OCMT_AGENT_POLICY is not set")?;
    std::io::stdout().write_all(&std::fs::read(file)?)?;
    Ok(())
}

fn serve() -> anyhow::Result<()> {
    let port = match std::env::var("PORT") {
        Ok(port) => port.parse().context("PORT is not a port number")?,
        Err(_) => server::DEFAULT_PORT,
    };
    let secret = std::env::var_os("DEMO_SECRET").map(std::os::unix::ffi::OsStringExt::into_vec);
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(server::serve(port, secret))
}
