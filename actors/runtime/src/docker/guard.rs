//! Keeps containers away from the host's own ports.
//!
//! "Inter-container communication off" covers bridge to bridge; a container still reaches every port that
//! the host listens on, through its gateway address. So the host's INPUT chain sends what comes from our
//! range, or over a bridge of ours, through a chain of our own that lets answers pass and refuses the rest
//! (refuses rather than drops: a name lookup then fails at once and not after ten seconds). Where the node has an
//! egress proxy, each container reaches its own.
//!
//! It stays when the node ends, because containers outlive a restart of the node.

use std::{
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{io::AsyncWriteExt as _, process::Command};

use super::network::NetworkRange;
use crate::egress::EGRESS_PORT;

/// Whether the host's ports are guarded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GuardState {
    /// The rules are in force.
    Installed,
    /// They are not, and why: an operator must look.
    Missing(String),
}

/// The rules for one range of container networks.
#[derive(Debug, Clone)]
pub struct HostGuard {
    range: NetworkRange,
    /// Containers may speak with the proxy on their own bridge.
    doors: Arc<AtomicBool>,
}

impl HostGuard {
    /// For the containers in `range`.
    pub fn new(range: NetworkRange) -> Self {
        Self { range, doors: Arc::default() }
    }

    /// Whether each container may speak with the proxy on its own bridge, from the next installation on.
    pub(super) fn open_doors(&self, open: bool) {
        self.doors.store(open, Ordering::SeqCst);
    }

    /// As last said.
    pub(super) fn has_doors(&self) -> bool {
        self.doors.load(Ordering::SeqCst)
    }

    /// Installs the rules, or brings them back; the change is atomic and may be repeated.
    pub async fn install(&self) -> GuardState {
        let state = match self.try_install().await {
            Ok(()) => return self.state().await,
            Err(why) => GuardState::Missing(why),
        };
        tracing::warn!(range = %self.range, ?state, "host ports are not guarded from containers");
        state
    }

    /// Asks the kernel whether the rules are in force.
    pub async fn state(&self) -> GuardState {
        for jump in self.jumps() {
            if let Err(why) = iptables(&with("-C", &jump)).await {
                return GuardState::Missing(why);
            }
        }
        match iptables(&["-S".to_owned(), self.range.chain()]).await {
            Ok(rules) if self.is_whole(&rules) => GuardState::Installed,
            Ok(rules) => GuardState::Missing(format!("the chain was changed: {}", rules.replace('\n', "; "))),
            Err(why) => GuardState::Missing(why),
        }
    }

    /// Takes the rules away. For machines that stop hosting containers, and for tests.
    ///
    /// # Errors
    /// What iptables said.
    pub async fn remove(&self) -> Result<(), String> {
        for jump in self.jumps() {
            while iptables(&with("-C", &jump)).await.is_ok() {
                iptables(&with("-D", &jump)).await?;
            }
        }
        let chain = self.range.chain();
        if iptables(&["-S".to_owned(), chain.clone()]).await.is_ok() {
            iptables(&["-F".to_owned(), chain.clone()]).await?;
            iptables(&["-X".to_owned(), chain]).await?;
        }
        Ok(())
    }

    async fn try_install(&self) -> Result<(), String> {
        let chain = self.range.chain();
        let door = if self.has_doors() { format!("-A {chain} {}\n", self.door()) } else { String::new() };
        // one transaction: naming the chain empties and refills it without a moment in between
        let rules = format!(
            "*filter\n:{chain} - [0:0]\n\
             -A {chain} -m conntrack --ctstate ESTABLISHED,RELATED -j RETURN\n\
             {door}\
             -A {chain} -p tcp -j REJECT --reject-with tcp-reset\n\
             -A {chain} -j REJECT --reject-with icmp-port-unreachable\n\
             COMMIT\n"
        );
        run("iptables-restore", &["-w".to_owned(), "5".to_owned(), "--noflush".to_owned()], Some(&rules))
            .await?;
        for jump in self.jumps() {
            if iptables(&with("-C", &jump)).await.is_err() {
                iptables(&with("-I", &jump)).await?;
            }
        }
        Ok(())
    }

    /// To the proxy, over a bridge of ours and at that bridge's own address alone: at the address of another container's
    /// bridge nobody is let in, though the kernel would take it there.
    fn door(&self) -> String {
        let bridges = self.range.bridge_prefix();
        format!(
            "-i {bridges}+ -p tcp -m tcp --dport {EGRESS_PORT} -m addrtype --dst-type LOCAL --limit-iface-in -j RETURN"
        )
    }

    fn is_whole(&self, rules: &str) -> bool {
        let open = rules.matches("-j RETURN").count();
        rules.matches("-j REJECT").count() == 2 && open == 1 + usize::from(self.has_doors())
    }

    /// By source for what is routed, by interface for what lies about its source.
    fn jumps(&self) -> [[String; 5]; 2] {
        let jump = |by: &str, what: String| {
            ["INPUT".to_owned(), by.to_owned(), what, "-j".to_owned(), self.range.chain()]
        };
        [jump("-s", self.range.to_string()), jump("-i", format!("{}+", self.range.bridge_prefix()))]
    }
}

fn with(action: &str, jump: &[String; 5]) -> Vec<String> {
    std::iter::once(action.to_owned()).chain(jump.iter().cloned()).collect()
}

async fn iptables(args: &[String]) -> Result<String, String> {
    let waiting = ["-w".to_owned(), "5".to_owned()];
    run("iptables", &[&waiting[..], args].concat(), None).await
}

async fn run(program: &str, args: &[String], input: Option<&str>) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("{program}: {error}");
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // it may have refused and gone already: then its exit says so
        let _ = stdin.write_all(input.unwrap_or_default().as_bytes()).await;
    }
    let output = child.wait_with_output().await.map_err(failed)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("{program} {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
}
