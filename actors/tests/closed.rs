//! What must not compile: nothing outside names a tenant's children, forges a caller, or holds the
//! frame around the fenced writer. The way to a tenant's state is a message to that tenant's actor.
//!
//! Each case is compiled by `rustc` against the library that this test was built with. (trybuild does
//! the same, but builds all 300 dependencies once more for it: over two minutes on two cores.)
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// Compiled to metadata only, against one build of the library.
fn compile(case: &str, library: &Path) -> Output {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/closed").join(case);
    let out = tempfile::tempdir().unwrap();
    Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["--edition=2024", "--crate-type=lib", "--emit=metadata", "--error-format=short"])
        .arg(format!("-Ldependency={}", library.parent().unwrap().display()))
        .arg(format!("--extern=ocmt_actors={}", library.display()))
        .args(["--out-dir".as_ref(), out.path().as_os_str()])
        .arg(source)
        .output()
        .expect("rustc runs")
}

/// The build of the library that the open face compiles against: the newest that still fits the
/// dependencies beside it.
fn library() -> PathBuf {
    let deps = std::env::current_exe().unwrap().parent().unwrap().to_path_buf();
    let mut builds: Vec<_> = fs::read_dir(&deps)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.starts_with("libocmt_actors-") && name.ends_with(".rlib")
        })
        .collect();
    builds.sort_by_key(|path| std::cmp::Reverse(fs::metadata(path).unwrap().modified().unwrap()));
    builds
        .into_iter()
        .find(|build| compile("open_face.rs", build).status.success())
        .expect("the open face compiles, so that the other cases fail for what they name")
}

#[test]
fn nothing_outside_reaches_past_the_tenants_actor() {
    let library = library();
    for (case, refusals) in [
        ("child_message.rs", &["E0603"; 3][..]),
        ("forged_caller.rs", &["E0624"; 2][..]),
        ("work_frame.rs", &["E0603"; 2][..]),
    ] {
        let output = compile(case, &library);
        let told = String::from_utf8(output.stderr).unwrap();
        let errors: Vec<_> = told.lines().filter_map(|line| line.split("error[").nth(1)?.get(..5)).collect();
        assert!(!output.status.success(), "{case} compiles");
        assert_eq!(errors, refusals, "{case} is refused for other reasons:\n{told}");
    }
}
