//! `ocmt image build`: an image of the static cell and the user's programs, made offline.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use futures_util::stream;
use ocmt_client::ClientError;
use ocmt_runtime::docker::{
    Engine,
    import::{ImageFile, ImageName, layer},
};

use super::{
    args::{ImageBuildArgs, ImageCommand},
    output::{Output, note, waiting},
};
use crate::programs;

/// Where the cell is in the image.
const CELL: &str = "/ocmt-cell";

pub(super) async fn run(command: &ImageCommand, json: bool) -> anyhow::Result<ExitCode> {
    let ImageCommand::Build(args) = command;
    build(args, Output { json }).await.map(|()| ExitCode::SUCCESS)
}

async fn build(args: &ImageBuildArgs, out: Output) -> anyhow::Result<()> {
    let cell = match &args.cell {
        Some(cell) => cell.clone(),
        None => programs::for_image("ocmt-cell")?,
    };
    let mut files = vec![program(cell, Path::new(CELL))?];
    for add in &args.add {
        let (from, to) = add.split_once('=').ok_or_else(|| not_a_place(add))?;
        files.push(program(PathBuf::from(from), Path::new(to))?);
    }
    let (repository, tag) = name(&args.name);
    let digest = {
        let _waiting = waiting("building the image");
        let tar = layer(&files)?;
        let name = ImageName { repository, tag, entrypoint: &[CELL] };
        Engine::at(&args.docker_host)?.import_image(stream::iter([Ok(tar.into())]), &name).await?
    };
    let json = serde_json::json!({ "image": digest.as_str(), "name": args.name });
    out.value(&json, || digest.to_string())?;
    if !out.json {
        note(
            "Name it by this digest: in `ocmt container create --image`, or in the node's [containers] image.",
        );
    }
    Ok(())
}

fn program(from: PathBuf, to: &Path) -> anyhow::Result<ImageFile> {
    let inside = to.strip_prefix("/").map_err(|_| not_a_place(&to.display().to_string()))?;
    let plain = inside.components().all(|part| matches!(part, std::path::Component::Normal(_)));
    if !plain || inside.as_os_str().is_empty() {
        return Err(not_a_place(&to.display().to_string()).into());
    }
    if !from.is_file() {
        let from = from.display();
        return Err(ClientError::Usage(format!("there is no file {from}: write FILE=/PATH")).into());
    }
    Ok(ImageFile { from, to: inside.to_owned(), mode: 0o755 })
}

fn not_a_place(text: &str) -> ClientError {
    ClientError::Usage(format!("`{text}` is no file and place: write FILE=/PATH"))
}

/// Repository and tag; a colon of a registry's port is neither.
fn name(text: &str) -> (&str, &str) {
    match text.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (text, "latest"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_images_name_is_split_at_its_tag_alone() {
        assert_eq!(name("my-agent:1"), ("my-agent", "1"));
        assert_eq!(name("my-agent"), ("my-agent", "latest"));
        assert_eq!(name("r.example:5000/agent"), ("r.example:5000/agent", "latest"));
    }

    #[test]
    fn files_are_placed_below_the_images_root_and_nowhere_else() {
        let file = || std::env::current_exe().unwrap();
        assert_eq!(program(file(), Path::new("/bin/agent")).unwrap().to, Path::new("bin/agent"));
        for bad in ["bin/agent", "/", "/../etc/x", "/a/../../b"] {
            assert!(program(file(), Path::new(bad)).is_err(), "{bad} was taken");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let missing = file!().to_owned() + ".none";
        let refused = program(missing.clone().into(), Path::new("/bin/agent")).unwrap_err();
        assert!(refused.to_string().contains(&missing), "{refused}");
    }
}
