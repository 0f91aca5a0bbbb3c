//! The next release, for tests of rolling upgrades: `ocmt` in everything but what it says it is. Never installed.
//!
//! It speaks the peer protocol of this release and one more.

use std::process::ExitCode;

use ocmt::software::Software;

fn main() -> ExitCode {
    let Software { version, protocols } = Software::this();
    ocmt::cli::main(Software {
        version: format!("{version}-next"),
        protocols: *protocols.start()..=protocols.end() + 1,
    })
}
