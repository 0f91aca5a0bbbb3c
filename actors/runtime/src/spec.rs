//! What an actor may ask for: nothing wider than the profile can be said in these types.

use std::{collections::HashMap, fmt, str::FromStr};

use ocmt_types::{ContainerId, Epoch, NodeId, TenantId, UserId};

use crate::{ImageRef, RuntimeError};

/// The port of a cell inside its container: control service and gateway.
pub const CELL_PORT: u16 = 7450;

/// Where the user's volume is mounted in a container; also the working folder of cell and workload (under
/// the process runtime the working folder is the volume itself).
pub const WORKDIR: &str = "/volume";

/// Where the host's folder of a sealed volume is mounted; [`WORKDIR`] lies in memory then.
pub const SEALED_DIR: &str = "/sealed";
/// The largest sealed volume, in bytes.
pub const MAX_SEALED_VOLUME: i64 = 64 << 20;
/// What the workload of a sealed volume has to end by itself, of the ten seconds that Docker usually gives: the rest is for sealing.
const SEALED_STOP_GRACE_MS: &str = "5000";

/// How careful the node has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// For other people's secrets.
    #[default]
    Production,
    /// `ocmt dev`: a developer's own machine.
    Dev,
    /// `ocmt demo`: a show on one machine, wiped at its end.
    Demo,
}

impl Mode {
    /// Whether what isolates nothing may be used.
    pub const fn is_development(self) -> bool {
        matches!(self, Self::Dev | Self::Demo)
    }
}

/// What a container may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Memory in bytes, at least 32 MiB; there is no swap on top of it.
    pub memory_bytes: i64,
    /// Processes and threads, at least 16.
    pub pids: i64,
    /// Weight against other containers when processors are short, 2 to 262 144; 1024 is Docker's usual.
    pub cpu_shares: i64,
}

impl Default for Limits {
    /// 1.5 GiB, 256 processes, half of Docker's usual weight (architecture, "Containers and hosts").
    fn default() -> Self {
        Self { memory_bytes: 1536 << 20, pids: 256, cpu_shares: 512 }
    }
}

impl Limits {
    /// Whether these limits are sound and no wider than `ceiling`.
    pub(crate) fn check(&self, ceiling: &Self) -> Result<(), RuntimeError> {
        let within = |what: &str, value: i64, least: i64, most: i64| {
            if (least..=most).contains(&value) {
                return Ok(());
            }
            Err(RuntimeError::Refused(format!("{what} {value} is not within {least} and {most}")))
        };
        within("memory_bytes", self.memory_bytes, 32 << 20, ceiling.memory_bytes)?;
        within("pids", self.pids, 16, ceiling.pids)?;
        within("cpu_shares", self.cpu_shares, 2, ceiling.cpu_shares)
    }
}

/// Whether a container reaches more than its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Egress {
    /// An internal network: the node reaches the cell, the container reaches nothing.
    #[default]
    Off,
    /// An internal network too: the container reaches its node's egress proxy alone, and is told of it.
    Proxied,
    /// Out through the host. Refused unless the node's configuration allows it.
    Direct,
}

impl Egress {
    /// Whether the container's network leads nowhere.
    pub(crate) const fn is_internal(self) -> bool {
        matches!(self, Self::Off | Self::Proxied)
    }
}

/// One container, as its actor wants it. The volume follows from tenant and user: no path can be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerSpec {
    /// Whose.
    pub tenant: TenantId,
    /// Whose; with the tenant it names the volume.
    pub user: UserId,
    /// Which container.
    pub container: ContainerId,
    /// Which making of it, from 1; grows when it is made anew.
    pub generation: i64,
    /// The tenant's epoch when it was asked for.
    pub epoch: Epoch,
    /// The image. The process runtime does not look at it.
    pub image: ImageRef,
    /// The workload and its arguments, at most 64 of 4096 bytes each; none for a cell that serves exec channels
    /// only. Never a secret: it is readable in the engine.
    pub argv: Vec<String>,
    /// Where the workload listens on the container's loopback, if it does.
    pub workload_port: Option<u16>,
    /// Whether the workload starts at once and without secrets, instead of with the first unlock.
    pub start_locked: bool,
    /// Whether its node carries the workload's own protocol in clear.
    pub plain: bool,
    /// What it may use.
    pub limits: Limits,
    /// Whether it reaches more than its node.
    pub egress: Egress,
    /// Size of its sealed volume in bytes, 1 MiB to [`MAX_SEALED_VOLUME`]: what is in it counts as its memory, so half of that at
    /// most. None for a volume of plain files.
    pub sealed_volume_bytes: Option<i64>,
}

impl ContainerSpec {
    /// The name it will go by.
    pub const fn container_ref(&self) -> ContainerRef {
        ContainerRef { container: self.container, generation: self.generation }
    }

    /// Its labels on `node`.
    pub const fn labels(&self, node: NodeId) -> Labels {
        Labels {
            tenant: self.tenant,
            user: self.user,
            container: self.container,
            generation: self.generation,
            epoch: self.epoch,
            node,
        }
    }

    /// The arguments of the cell that listens on `listen`.
    pub(crate) fn cell_args(&self, listen: &str) -> Vec<String> {
        let mut args: Vec<String> = ["run", "--listen", listen, "--tenant"].map(str::to_owned).to_vec();
        args.push(self.tenant.to_string());
        args.extend(["--container".to_owned(), self.container.to_string()]);
        args.extend(["--generation".to_owned(), self.generation.to_string()]);
        if let Some(port) = self.workload_port {
            args.extend(["--workload-port".to_owned(), port.to_string()]);
        }
        if self.start_locked {
            args.push("--start-locked".to_owned());
        }
        if self.plain {
            args.push("--plain".to_owned());
        }
        if self.sealed_volume_bytes.is_some() {
            let sealed = ["--sealed-at", SEALED_DIR, "--stop-grace-ms", SEALED_STOP_GRACE_MS];
            args.extend(sealed.map(str::to_owned));
        }
        args.push("--".to_owned());
        args.extend(self.argv.iter().cloned());
        args
    }

    /// For an engine whose containers have no memory of their own to keep a volume in.
    pub(crate) fn without_sealed_volume(&self) -> Result<(), RuntimeError> {
        match self.sealed_volume_bytes {
            Some(_) => Err(RuntimeError::Refused("a sealed volume needs Docker".to_owned())),
            None => Ok(()),
        }
    }

    /// Refuses what is malformed or wider than `ceiling` and `egress`.
    pub(crate) fn check(&self, ceiling: &Limits, egress: Egress) -> Result<(), RuntimeError> {
        let refuse = |why: &str| Err(RuntimeError::Refused(why.to_owned()));
        if self.generation < 1 {
            return refuse("generations count from 1");
        }
        if self.argv.len() > 64 || self.argv.iter().any(|arg| arg.len() > 4096 || arg.contains('\0')) {
            return refuse("argv must have at most 64 arguments of at most 4096 bytes, without NUL");
        }
        if self.workload_port.is_some_and(|port| port == 0 || port == CELL_PORT) {
            return refuse("the workload cannot listen on port 0 or on the cell's own port");
        }
        if self.egress > egress {
            return refuse("this node's configuration allows no egress");
        }
        let most = MAX_SEALED_VOLUME.min(self.limits.memory_bytes / 2);
        if self.sealed_volume_bytes.is_some_and(|bytes| !(1 << 20..=most).contains(&bytes)) {
            return refuse("a sealed volume has 1 to 64 MiB, and at most half of the container's memory");
        }
        self.limits.check(ceiling)
    }
}

/// The name of one making of a container: `ocmt-<container>-g<generation>` in every engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerRef {
    /// Which container.
    pub container: ContainerId,
    /// Which making of it, from 1.
    pub generation: i64,
}

impl fmt::Display for ContainerRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ocmt-{}-g{}", self.container, self.generation)
    }
}

impl FromStr for ContainerRef {
    type Err = ParseLabelsError;
    fn from_str(name: &str) -> Result<Self, ParseLabelsError> {
        let parsed = name.strip_prefix("ocmt-").and_then(|rest| rest.rsplit_once("-g")).and_then(
            |(container, generation)| {
                Some(Self {
                    container: container.parse().ok()?,
                    generation: generation.parse().ok().filter(|g| *g > 0)?,
                })
            },
        );
        parsed.filter(|parsed: &Self| parsed.to_string() == name).ok_or(ParseLabelsError("name"))
    }
}

/// A label is missing or is not what we write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the label {0} is missing or not ours")]
pub struct ParseLabelsError(pub &'static str);

/// What is written on a container, so that whoever finds it knows whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Labels {
    /// Whose.
    pub tenant: TenantId,
    /// Whose.
    pub user: UserId,
    /// Which container.
    pub container: ContainerId,
    /// Which making of it.
    pub generation: i64,
    /// The tenant's epoch when it was made.
    pub epoch: Epoch,
    /// On which node.
    pub node: NodeId,
}

impl Labels {
    /// The label that every container and network of a node carries.
    pub const NODE: &'static str = "ocmt.node";

    /// As an engine takes them.
    pub fn to_map(&self) -> HashMap<String, String> {
        [
            ("ocmt.tenant", self.tenant.to_string()),
            ("ocmt.user", self.user.to_string()),
            ("ocmt.container", self.container.to_string()),
            ("ocmt.generation", self.generation.to_string()),
            ("ocmt.epoch", self.epoch.0.to_string()),
            (Self::NODE, self.node.to_string()),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into()
    }

    /// As an engine gives them back.
    ///
    /// # Errors
    /// The first label that is missing or malformed.
    pub fn from_map(map: &HashMap<String, String>) -> Result<Self, ParseLabelsError> {
        fn of<T: FromStr>(map: &HashMap<String, String>, key: &'static str) -> Result<T, ParseLabelsError> {
            map.get(key).and_then(|text| text.parse().ok()).ok_or(ParseLabelsError(key))
        }
        Ok(Self {
            tenant: of(map, "ocmt.tenant")?,
            user: of(map, "ocmt.user")?,
            container: of(map, "ocmt.container")?,
            generation: of(map, "ocmt.generation")?,
            epoch: Epoch(of(map, "ocmt.epoch")?),
            node: of(map, Self::NODE)?,
        })
    }

    /// The name that goes with them.
    pub const fn container_ref(&self) -> ContainerRef {
        ContainerRef { container: self.container, generation: self.generation }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ocmt_types::{IdGen, RandomIds};

    use super::*;

    fn spec() -> ContainerSpec {
        let ids: &dyn IdGen = &RandomIds;
        ContainerSpec {
            tenant: ids.id(),
            user: ids.id(),
            container: ids.id(),
            generation: 3,
            epoch: Epoch(9),
            image: format!("sha256:{}", "0".repeat(64)).parse().unwrap(),
            argv: vec!["/app".to_owned(), "--run".to_owned()],
            workload_port: Some(8080),
            start_locked: true,
            plain: true,
            limits: Limits::default(),
            egress: Egress::Off,
            sealed_volume_bytes: None,
        }
    }

    #[test]
    fn the_cell_is_told_whose_it_is_and_nothing_of_the_workload_is_taken_for_its_own() {
        let spec = ContainerSpec { argv: vec!["--listen".to_owned()], ..spec() };
        let (tenant, container) = (spec.tenant, spec.container);
        let expected = format!(
            "run --listen 127.0.0.1:0 --tenant {tenant} --container {container} --generation 3 --workload-port 8080 --start-locked --plain -- --listen"
        );
        assert_eq!(spec.cell_args("127.0.0.1:0").join(" "), expected);
        let sealed =
            ContainerSpec { sealed_volume_bytes: Some(1 << 20), ..spec }.cell_args("127.0.0.1:0").join(" ");
        assert!(sealed.ends_with(" --sealed-at /sealed --stop-grace-ms 5000 -- --listen"), "{sealed}");
    }

    #[test]
    fn names_and_labels_are_read_back_and_nothing_else_is() {
        let ids: &dyn IdGen = &RandomIds;
        let labels = spec().labels(ids.id());
        assert_eq!(Labels::from_map(&labels.to_map()), Ok(labels));
        let name = labels.container_ref().to_string();
        assert_eq!(name.parse(), Ok(labels.container_ref()));
        for bad in [
            name.to_uppercase(),
            name.replace("-g3", "-g03"),
            name.replace("-g3", "-g0"),
            name.replace("-g3", ""),
            format!("/{name}"),
        ] {
            assert!(bad.parse::<ContainerRef>().is_err(), "{bad} was taken");
        }
        for key in labels.to_map().into_keys() {
            let mut less = labels.to_map();
            less.remove(&key);
            assert!(Labels::from_map(&less).is_err(), "{key} was not missed");
        }
    }
}
