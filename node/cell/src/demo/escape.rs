//! What a program gets that looks for a way out of its container: files of the host, devices, the engine, the network.
//! It opens and changes nothing, so that it may be tried outside too, where it finds one.

use std::{
    fs::{self, File},
    io::Read as _,
    net::{SocketAddr, TcpStream},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context as _;

use super::attack::{GOT_IN, tell};

/// How long a connection may take that leads nowhere.
const PATIENCE: Duration = Duration::from_secs(2);
/// Of the image, of the kernel and of the machine.
const WRITTEN: [&str; 7] = [
    "/ocmt-cell",
    "/etc/hostname",
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/vm/drop_caches",
    "/proc/sysrq-trigger",
    "/sys/kernel/uevent_helper",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
];
/// What is not a container's to read.
const READ: [&str; 6] =
    ["/proc/kcore", "/dev/mem", "/dev/loop0", "/dev/vda", "/var/run/docker.sock", "/volume/volume.ext4"];

/// Tries all of it, and to connect to these addresses; the exit code says whether something was open.
pub(crate) fn run(addresses: &[String]) -> anyhow::Result<ExitCode> {
    let mut got_in = false;
    for file in WRITTEN {
        let opened = fs::OpenOptions::new().write(true).open(file);
        got_in |= tell(&format!("write {file}"), opened.map(|_| "open".to_owned()))?;
    }
    for file in READ {
        let read = File::open(file).and_then(|mut file| file.read_exact(&mut [0]));
        got_in |= tell(&format!("read {file}"), read.map(|()| "a byte read".to_owned()))?;
    }
    for address in addresses {
        let to: SocketAddr = address.parse().with_context(|| format!("{address} is no address"))?;
        let connected = TcpStream::connect_timeout(&to, PATIENCE);
        got_in |= tell(&format!("connect {address}"), connected.map(|_| "connected".to_owned()))?;
    }
    Ok(if got_in { ExitCode::from(GOT_IN) } else { ExitCode::SUCCESS })
}
