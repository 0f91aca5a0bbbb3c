//! Hosts of a test's own, on one of two grounds.
//!
//! - [`Ground::Hosts`]: one network namespace each, on a bridge in a namespace of its own, so that neither
//!   Docker's rules nor another run of the same tests meets their packets. Links can be cut.
//! - [`Ground::Machine`]: addresses of this machine's loopback. Beside a Docker engine, whose bridges cannot
//!   be reached out of a namespace.
//!
//! A run takes a number that nobody else holds (a lock on a file, which ends with the process) and with it
//! the names and the subnet 198.18.N.0/24, of the range that RFC 2544 keeps for tests, or 127.18.N.0/24. What
//! a run that was killed has left under that number is cleared away by whoever takes it next.

use std::{
    fs::{self, File},
    net::Ipv4Addr,
    path::Path,
    process::Command,
};

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

/// Where the locks on numbers lie: gone with a restart of the machine, as the namespaces are.
const LOCKS: &str = "/run/ocmt-cluster-tests";

/// What the hosts of a run are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ground {
    /// Network namespaces.
    Hosts,
    /// Addresses of this machine.
    Machine,
}

/// The hosts of one run; all of it is gone when this is dropped.
pub struct Network {
    ground: Ground,
    number: u8,
    hosts: usize,
    // held for its lock
    _lock: File,
}

impl Network {
    /// A network of that many hosts, each a namespace.
    ///
    /// # Errors
    /// The kernel refuses: not root, or no network namespaces here.
    pub fn new(hosts: usize) -> anyhow::Result<Self> {
        Self::on(Ground::Hosts, hosts)
    }

    /// A network of that many hosts.
    ///
    /// # Errors
    /// As [`Network::new`].
    pub fn on(ground: Ground, hosts: usize) -> anyhow::Result<Self> {
        let (number, lock) = free_number()?;
        clear(number);
        // from here on a failure clears away too
        let network = Self { ground, number, hosts, _lock: lock };
        if ground == Ground::Hosts {
            network.build().context("network namespaces need root and a kernel that allows them")?;
        }
        Ok(network)
    }

    /// This machine's address on it: where the database is.
    pub fn gateway(&self) -> Ipv4Addr {
        self.numbered(1)
    }

    /// The address of a host.
    pub fn address(&self, host: usize) -> Ipv4Addr {
        self.numbered(u8::try_from(host).unwrap_or(0).saturating_add(11))
    }

    fn numbered(&self, last: u8) -> Ipv4Addr {
        match self.ground {
            Ground::Hosts => Ipv4Addr::new(198, 18, self.number, last),
            Ground::Machine => Ipv4Addr::new(127, 18, self.number, last),
        }
    }

    /// What a program is started with to run on a host.
    pub fn prefix(&self, host: usize) -> Vec<String> {
        match self.ground {
            Ground::Hosts => {
                ["ip", "netns", "exec"].map(str::to_owned).into_iter().chain([self.namespace(host)]).collect()
            }
            Ground::Machine => Vec::new(),
        }
    }

    /// The name of its namespace, for `ip netns exec`.
    pub fn namespace(&self, host: usize) -> String {
        format!("ocmt{}-{host}", self.number)
    }

    /// Packets between the two are lost from now on, without a word to either.
    ///
    /// # Errors
    /// iptables refuses.
    pub fn cut(&self, host: usize, other: usize) -> anyhow::Result<()> {
        let other = self.address(other).to_string();
        self.rule(host, &["-A", "INPUT", "-s", &other, "-j", "DROP"])?;
        self.rule(host, &["-A", "OUTPUT", "-d", &other, "-j", "DROP"])
    }

    /// Packets between the host and a port of this machine are lost from now on.
    ///
    /// # Errors
    /// iptables refuses.
    pub fn cut_port(&self, host: usize, port: u16) -> anyhow::Result<()> {
        let (gateway, port) = (self.gateway().to_string(), port.to_string());
        self.rule(host, &["-A", "INPUT", "-s", &gateway, "-p", "tcp", "--sport", &port, "-j", "DROP"])?;
        self.rule(host, &["-A", "OUTPUT", "-d", &gateway, "-p", "tcp", "--dport", &port, "-j", "DROP"])
    }

    /// Nothing of the host is cut any more.
    ///
    /// # Errors
    /// iptables refuses.
    pub fn heal(&self, host: usize) -> anyhow::Result<()> {
        self.rule(host, &["-F"])
    }

    fn rule(&self, host: usize, rule: &[&str]) -> anyhow::Result<()> {
        ensure!(self.ground == Ground::Hosts, "hosts that are this machine have no links to cut");
        let namespace = self.namespace(host);
        let command = ["netns", "exec", &namespace, "iptables", "-w", "5"];
        ip(&[&command, rule].concat())
    }

    fn build(&self) -> anyhow::Result<()> {
        let (hub, link) = (hub(self.number), link(self.number));
        ip(&["netns", "add", &hub])?;
        ip(&["-n", &hub, "link", "add", "br0", "type", "bridge"])?;
        ip(&["-n", &hub, "link", "set", "br0", "up"])?;
        ip(&["link", "add", &link, "type", "veth", "peer", "name", "up0", "netns", &hub])?;
        ip(&["-n", &hub, "link", "set", "up0", "master", "br0", "up"])?;
        ip(&["addr", "add", &format!("{}/24", self.gateway()), "dev", &link])?;
        ip(&["link", "set", &link, "up"])?;
        for host in 0..self.hosts {
            let (namespace, port) = (self.namespace(host), format!("h{host}"));
            ip(&["netns", "add", &namespace])?;
            ip(&[
                "-n", &hub, "link", "add", &port, "type", "veth", "peer", "name", "eth0", "netns", &namespace,
            ])?;
            ip(&["-n", &hub, "link", "set", &port, "master", "br0", "up"])?;
            ip(&["-n", &namespace, "addr", "add", &format!("{}/24", self.address(host)), "dev", "eth0"])?;
            ip(&["-n", &namespace, "link", "set", "eth0", "up"])?;
            ip(&["-n", &namespace, "link", "set", "lo", "up"])?;
        }
        Ok(())
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        clear(self.number);
    }
}

fn hub(number: u8) -> String {
    format!("ocmt{number}-hub")
}

fn link(number: u8) -> String {
    format!("ocmt{number}")
}

fn free_number() -> anyhow::Result<(u8, File)> {
    fs::create_dir_all(LOCKS).with_context(|| format!("cannot make {LOCKS}: run these tests as root"))?;
    for number in 1..=254 {
        let file = File::create(Path::new(LOCKS).join(number.to_string()))?;
        if file.try_lock().is_ok() {
            return Ok((number, file));
        }
    }
    bail!("all numbers of test networks are taken")
}

/// Ends what runs in the namespaces of a number, and takes them away.
fn clear(number: u8) {
    let Ok(output) = Command::new("ip").args(["netns", "list"]).output() else { return };
    let listed = String::from_utf8_lossy(&output.stdout).into_owned();
    let prefix = format!("ocmt{number}-");
    let names = listed.lines().filter_map(|line| line.split_whitespace().next());
    for name in names.filter(|name| name.starts_with(&prefix)) {
        end_all(name);
        // why: what is left of one run must not keep the next from starting
        let _ = ip(&["netns", "del", name]);
    }
    // it goes with its other end, a little later
    let _ = ip(&["link", "del", &link(number)]);
}

fn end_all(namespace: &str) {
    let Ok(output) = Command::new("ip").args(["netns", "pids", namespace]).output() else { return };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for pid in text.split_whitespace().filter_map(|pid| pid.parse().ok()).filter_map(Pid::from_raw) {
        let _ = kill_process(pid, Signal::KILL);
    }
}

fn ip(arguments: &[&str]) -> anyhow::Result<()> {
    let output = Command::new("ip").args(arguments).output().context("cannot start ip (iproute2)")?;
    if !output.status.success() {
        bail!("ip {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
