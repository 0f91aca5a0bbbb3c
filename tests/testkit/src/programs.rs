//! Where the programs under test are: never on the PATH.

use std::path::PathBuf;

use anyhow::Context as _;

/// The node under test: `ocmt` in `OCMT_TEST_BIN`, else beside this test.
///
/// # Errors
/// It is not there: build it first.
pub fn ocmt() -> anyhow::Result<PathBuf> {
    of_this_build("ocmt", "ocmt")
}

/// The same as the next release would be, to upgrade to: built with the tests of several nodes.
///
/// # Errors
/// It is not there: build it first.
pub fn ocmt_next() -> anyhow::Result<PathBuf> {
    of_this_build("ocmt-next", "ocmt-cluster-tests")
}

fn of_this_build(name: &str, package: &str) -> anyhow::Result<PathBuf> {
    let folder = match std::env::var_os("OCMT_TEST_BIN") {
        Some(folder) => PathBuf::from(folder),
        None => {
            let own = std::env::current_exe()?;
            // target/debug/deps/this_test
            own.ancestors().nth(2).context("this test lies in no target folder")?.to_owned()
        }
    };
    let program = folder.join(name);
    anyhow::ensure!(program.is_file(), "{} is not there: cargo build -p {package} --bins", program.display());
    Ok(program)
}

/// A static program that goes into containers: in `OCMT_TEST_CELL`, else where `make cell` leaves it.
///
/// # Errors
/// It is not there: run `make cell`.
pub fn of_the_cell(name: &str) -> anyhow::Result<PathBuf> {
    match std::env::var_os("OCMT_TEST_CELL") {
        Some(folder) => Ok(PathBuf::from(folder).join(name)),
        None => Ok(ocmt::programs::for_image(name)?),
    }
}
