//! `[snapshots]`: where encrypted copies of volumes lie, and how many.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{
    Config, ConfigError,
    check::{refuse, within},
};

/// `[snapshots]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Snapshots {
    /// `file:///FOLDER` that all nodes of the cluster see, or `s3://BUCKET/PREFIX`. Empty: no snapshots are kept. The
    /// same on all nodes.
    pub store: String,
    /// Most of one user, 1 to 100: one more is refused until one is deleted.
    pub per_user: u32,
    /// Most MiB of ciphertext of one, 1 to 131072.
    pub most_mib: u32,
    /// Address of what speaks S3, `https://…`.
    pub s3_endpoint: String,
    /// Its region.
    pub s3_region: String,
    /// Who this node is there.
    pub s3_access_key_id: String,
    /// A file with the secret of that, which nobody else may read.
    pub s3_secret_key_file: PathBuf,
    /// A PEM file of the authorities that its certificate may come from; empty for those that the machine trusts.
    pub s3_ca_file: PathBuf,
}

impl Default for Snapshots {
    fn default() -> Self {
        Self {
            store: String::new(),
            per_user: 14,
            most_mib: 10 << 10,
            s3_endpoint: String::new(),
            s3_region: String::from("us-east-1"),
            s3_access_key_id: String::new(),
            s3_secret_key_file: PathBuf::new(),
            s3_ca_file: PathBuf::new(),
        }
    }
}

/// Where snapshots lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotPlace {
    /// In this folder.
    Folder(PathBuf),
    /// In this bucket, under this prefix.
    S3 {
        /// Its name.
        bucket: String,
        /// Before all names; may be empty.
        prefix: String,
    },
}

impl Snapshots {
    /// What `store` says; none for none, and for what says nothing lawful.
    pub fn place(&self) -> Option<SnapshotPlace> {
        if let Some(path) = self.store.strip_prefix("file://") {
            return path.starts_with('/').then(|| SnapshotPlace::Folder(PathBuf::from(path)));
        }
        let (bucket, prefix) = {
            let rest = self.store.strip_prefix("s3://")?;
            rest.split_once('/').unwrap_or((rest, ""))
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._/".contains(c);
        let lawful = !bucket.is_empty() && bucket.chars().all(plain) && prefix.chars().all(plain);
        let prefix = prefix.trim_matches('/').to_owned();
        lawful.then(|| SnapshotPlace::S3 { bucket: bucket.to_owned(), prefix })
    }
}

pub(super) fn check(config: &Config) -> Result<(), ConfigError> {
    let it = &config.snapshots;
    within("snapshots.per_user", it.per_user, 1..=100)?;
    within("snapshots.most_mib", it.most_mib, 1..=128 << 10)?;
    let place = it.place();
    if place.is_none() && !it.store.is_empty() {
        return Err(refuse("snapshots.store", "must be `file:///FOLDER` or `s3://BUCKET/PREFIX`"));
    }
    let is_s3 = matches!(place, Some(SnapshotPlace::S3 { .. }));
    let named = [
        ("snapshots.s3_endpoint", !it.s3_endpoint.is_empty()),
        ("snapshots.s3_access_key_id", !it.s3_access_key_id.is_empty()),
        ("snapshots.s3_secret_key_file", !it.s3_secret_key_file.as_os_str().is_empty()),
    ];
    match named.into_iter().find(|(_, named)| *named != is_s3) {
        Some((key, _)) if is_s3 => return Err(refuse(key, "is needed for s3")),
        Some((key, _)) => return Err(refuse(key, "is of no use without s3 in snapshots.store")),
        None => {}
    }
    let in_clear = config.node.mode.is_relaxed() && it.s3_endpoint.starts_with("http://");
    if is_s3 && !it.s3_endpoint.starts_with("https://") && !in_clear {
        return Err(refuse("snapshots.s3_endpoint", "must begin with https://"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Mode;

    fn checked(change: impl FnOnce(&mut Config)) -> Result<(), String> {
        let mut config = Config::default();
        change(&mut config);
        check(&config).map_err(|error| error.to_string())
    }

    fn s3(config: &mut Config) {
        config.snapshots.store = "s3://copies/ocmt".to_owned();
        config.snapshots.s3_endpoint = "https://s3.example.org".to_owned();
        config.snapshots.s3_access_key_id = "id".to_owned();
        config.snapshots.s3_secret_key_file = "/secret".into();
    }

    #[test]
    fn a_store_is_a_folder_or_a_bucket_with_all_that_it_needs() {
        assert_eq!(checked(|_| {}), Ok(()));
        assert_eq!(checked(|config| config.snapshots.store = "file:///copies".to_owned()), Ok(()));
        assert_eq!(checked(s3), Ok(()));
        for bad in ["copies", "file://copies", "file:copies", "s3://", "s3:///x", "s3://a b", "http://x"] {
            let refused = checked(|config| config.snapshots.store = bad.to_owned());
            assert!(refused.is_err_and(|why| why.contains("snapshots.store")), "{bad}");
        }
        let without = |change: fn(&mut Snapshots)| {
            checked(|config| {
                s3(config);
                change(&mut config.snapshots);
            })
        };
        assert!(without(|it| it.s3_endpoint.clear()).is_err());
        assert!(without(|it| it.s3_access_key_id.clear()).is_err());
        assert!(without(|it| it.s3_secret_key_file = PathBuf::new()).is_err());
        assert!(without(|it| it.store = "file:///copies".to_owned()).is_err(), "of no use");
        assert!(without(|it| it.per_user = 0).is_err() && without(|it| it.most_mib = 0).is_err());
    }

    #[test]
    fn nothing_goes_to_a_bucket_in_clear_but_in_dev() {
        let in_clear = |mode| {
            checked(|config| {
                s3(config);
                config.snapshots.s3_endpoint = "http://127.0.0.1:9000".to_owned();
                config.node.mode = mode;
            })
        };
        assert!(in_clear(Mode::Production).is_err());
        assert_eq!(in_clear(Mode::Dev), Ok(()));
    }
}
