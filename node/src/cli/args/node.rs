//! Arguments of what runs a node.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `ocmt demo`
#[derive(Args)]
#[command(after_help = "Example:\n  ocmt demo --keep    keep the node's folder to look into")]
pub struct DemoArgs {
    /// Keep the data folder and say where it is
    #[arg(long)]
    pub keep: bool,
    /// Use this runtime instead of trying Docker first
    #[arg(long, value_enum)]
    pub runtime: Option<DemoRuntime>,
}

/// A runtime for the demo.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum DemoRuntime {
    /// Docker, isolated.
    Docker,
    /// Child processes, not isolated.
    Process,
}

/// `ocmt dev`
#[derive(Args)]
#[command(
    after_help = "Example:\n  ocmt dev\n\nThen, in another terminal:\n  ocmt login --sign-up --email you@example.org --tenant-name Home \\\n      --endpoint https://127.0.0.1:7443 --ca .ocmt/pki/ca.pem\n\nContainers are child processes of it, which isolate nothing, unless it is given an image:\n  ocmt dev --image sha256:…\n\nDOCKER_HOST=unix:///… names another Docker engine than that of this machine; it has to answer."
)]
pub struct DevArgs {
    /// Where the node keeps its state
    #[arg(long, value_name = "DIR", default_value = ".ocmt")]
    pub data_dir: PathBuf,
    /// Run containers so; without it in Docker if there is an image, else as child processes
    #[arg(long, value_enum)]
    pub runtime: Option<DemoRuntime>,
    /// What containers run that name no image, by the digest that `ocmt image build` prints, not by a tag; in Docker there
    /// are none without it
    #[arg(long, value_name = "DIGEST", default_value = "")]
    pub image: String,
}

/// `ocmt node`, `ocmt migrate`
#[derive(Args)]
pub struct NodeArgs {
    /// The configuration, a TOML file; OCMT__SECTION__KEY in the environment wins over it
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

/// `ocmt config`
#[derive(Subcommand)]
pub enum ConfigCommand {
    /// Check a configuration file; exits 1 with the reason if a node would refuse it
    #[command(after_help = "Example:\n  ocmt config check --config /etc/ocmt/ocmt.toml")]
    Check(NodeArgs),
    /// Print a configuration
    #[command(after_help = "Example:\n  ocmt config print --default > ocmt.toml")]
    Print {
        /// The defaults, with every key
        #[arg(long, required = true)]
        default: bool,
    },
}
