//! Images made on this host: a tar of a root folder becomes an image, offline.

use std::{
    io,
    path::{Path, PathBuf},
};

use bollard::{
    body_try_stream,
    query_parameters::{CreateImageOptionsBuilder, RemoveImageOptions},
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};

use super::{
    engine::{Engine, fault},
    profile::USER,
};
use crate::{ImageRef, RuntimeError};

/// What an imported image is called and starts. The name is for people: containers are made by digest.
#[derive(Debug, Clone)]
pub struct ImageName<'a> {
    /// Such as `ocmt/cell`.
    pub repository: &'a str,
    /// Such as the version.
    pub tag: &'a str,
    /// The cell and nothing before it; the arguments come with each container.
    pub entrypoint: &'a [&'a str],
}

/// A file of the host that goes into an image.
#[derive(Debug, Clone)]
pub struct ImageFile {
    /// Where it is.
    pub from: PathBuf,
    /// Where it goes, from the root, without the leading `/`.
    pub to: PathBuf,
    /// Its mode, such as `0o755`.
    pub mode: u32,
}

impl Engine {
    /// Makes an image of one layer (`docker import`) that runs `entrypoint` as user 1000, and gives its id: the digest of its configuration.
    ///
    /// # Errors
    /// The engine does not answer or does not like the tar.
    pub async fn import_image(
        &self,
        layer: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
        name: &ImageName<'_>,
    ) -> Result<ImageRef, RuntimeError> {
        let entrypoint = serde_json::to_string(name.entrypoint)
            .map_err(|error| RuntimeError::Refused(error.to_string()))?;
        let options = CreateImageOptionsBuilder::new()
            .from_src("-")
            .repo(name.repository)
            .tag(name.tag)
            .changes(vec![format!("ENTRYPOINT {entrypoint}"), format!("USER {USER}")])
            .build();
        let mut answers = self.docker()?.create_image(Some(options), Some(body_try_stream(layer)), None);
        let mut digest = None;
        while let Some(answer) = answers.next().await {
            digest = answer.map_err(|error| fault(&error))?.status.or(digest);
        }
        let digest = digest.unwrap_or_default();
        digest.parse().map_err(|error: crate::ParseImageError| RuntimeError::Engine {
            status: 0,
            message: format!("import gave no digest: {error}"),
        })
    }

    /// Removes an image that no container uses any more.
    ///
    /// # Errors
    /// The engine does not answer, has no such image, or still uses it.
    pub async fn remove_image(&self, image: &ImageRef) -> Result<(), RuntimeError> {
        let removed = self.docker()?.remove_image(image.as_str(), None::<RemoveImageOptions>, None).await;
        removed.map(drop).map_err(|error| fault(&error))
    }
}

/// A tar of these files below empty folders `tmp`, `run` and `volume`; the same files give the same bytes.
///
/// # Errors
/// A file cannot be read.
pub fn layer(files: &[ImageFile]) -> io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    for folder in ["tmp", "run", "volume"] {
        tar.append_data(&mut header(tar::EntryType::Directory, 0o755, 0), Path::new(folder), io::empty())?;
    }
    for file in files {
        let content = std::fs::read(&file.from)?;
        tar.append_data(
            &mut header(tar::EntryType::Regular, file.mode, content.len() as u64),
            &file.to,
            content.as_slice(),
        )?;
    }
    tar.into_inner()
}

fn header(kind: tar::EntryType, mode: u32, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}
