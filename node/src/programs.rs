//! The other programs that are installed beside this one.

use std::path::{Path, PathBuf};

/// A program is missing.
#[derive(Debug, thiserror::Error)]
#[error("{name} is not beside this program ({looked}): run `make cell`, or name it in the configuration")]
pub struct Missing {
    name: String,
    looked: String,
}

/// The program `name` in the folder of this program, or where `make cell` leaves static programs.
///
/// # Errors
/// [`Missing`], with the places that were looked at.
pub fn beside(name: &str) -> Result<PathBuf, Missing> {
    let folder = own_folder();
    first(name, std::iter::once(folder.join(name)).chain(built(&folder, name)))
}

/// The same for an image, which has no dynamic loader: what `make cell` left comes first.
///
/// # Errors
/// As [`beside`].
pub fn for_image(name: &str) -> Result<PathBuf, Missing> {
    let folder = own_folder();
    first(name, built(&folder, name).chain(std::iter::once(folder.join(name))))
}

fn own_folder() -> PathBuf {
    let own = std::env::current_exe().ok();
    own.as_deref().and_then(Path::parent).unwrap_or(Path::new(".")).to_owned()
}

/// target/release/ocmt, target/debug/ocmt and target/debug/deps/some_test all lie below target/.
fn built(folder: &Path, name: &str) -> impl Iterator<Item = PathBuf> {
    folder.ancestors().map(move |above| above.join("x86_64-unknown-linux-gnu/cell").join(name))
}

fn first(name: &str, places: impl Iterator<Item = PathBuf>) -> Result<PathBuf, Missing> {
    let places: Vec<PathBuf> = places.collect();
    places.iter().find(|place| place.is_file()).cloned().ok_or_else(|| Missing {
        name: name.to_owned(),
        looked: places.iter().take(3).map(|place| place.display().to_string()).collect::<Vec<_>>().join(", "),
    })
}
