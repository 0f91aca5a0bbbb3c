//! `ocmt`: the node, the operator's tool and the user's client in one program.

use std::process::ExitCode;

use ocmt::software::Software;

fn main() -> ExitCode {
    ocmt::cli::main(Software::this())
}
