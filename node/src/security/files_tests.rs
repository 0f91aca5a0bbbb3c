//! What lies on the disk too open, or in other hands, and what is mended.
#![allow(clippy::unwrap_used)]

use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn what_others_may_read_is_closed_and_opened_again_and_links_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut config = Config::default();
    config.node.data_dir.clone_from(&data);
    fs::create_dir_all(data.join("pki")).unwrap();
    fs::create_dir_all(data.join("volumes/a")).unwrap();
    let (key, pem, outside) = (data.join("pki/node.key"), data.join("pki/ca.pem"), folder.path().join("out"));
    for file in [&key, &pem, &outside] {
        fs::write(file, "x").unwrap();
        chmod(file, 0o644);
    }
    symlink(&outside, data.join("pki/link.key")).unwrap();
    for dir in [&data, &data.join("pki"), &data.join("volumes/a")] {
        chmod(dir, 0o755);
    }
    let mut report = Report::default();
    check(&config, None, &mut report);
    assert_eq!(report.findings.len(), 3, "{:?}", report.findings);
    assert!(report.findings.iter().all(|it| it.fixable && it.rule == "files.mode"));
    let fixes = wanting(&config, &mut Report::default());
    assert_eq!(apply(&fixes).unwrap(), fixes);
    assert_eq!([&data, &data.join("pki"), &key].map(|path| mode(path)), [0o700, 0o700, 0o600]);
    assert_eq!([&pem, &outside, &data.join("volumes/a")].map(|path| mode(path)), [0o644, 0o644, 0o755]);
    let mut clean = Report::default();
    check(&config, None, &mut clean);
    assert_eq!((clean.findings.len(), clean.passed.clone()), (0, vec!["files"]));
    undo(&fixes).unwrap();
    assert_eq!([&data, &data.join("pki"), &key].map(|path| mode(path)), [0o755, 0o755, 0o644]);
    // somebody else has changed it meanwhile: it is theirs
    chmod(&key, 0o640);
    assert_eq!(apply(&fixes).unwrap().len(), 2);
    assert_eq!(mode(&key), 0o640);
}

#[test]
fn nothing_else_is_put_back_than_what_could_have_been_changed() {
    let mut config = Config::default();
    config.node.data_dir = PathBuf::from("/var/lib/ocmt");
    config.redis.password_file = PathBuf::from("/etc/ocmt/redis.password");
    let ours = |path: &str, from, to| is_ours(&config, &Fix { path: PathBuf::from(path), from, to });
    assert!(ours("/var/lib/ocmt/pki/ca.key", 0o644, 0o600));
    assert!(ours("/etc/ocmt/redis.password", 0o640, 0o600));
    for (path, from, to) in [
        ("/bin/true", 0o755, 0o700),
        ("/var/lib/ocmt/../../../bin/true", 0o755, 0o700),
        ("/var/lib/ocmt/x", 0o4755, 0o755),
        ("/var/lib/ocmt/x", 0o700, 0o600),
    ] {
        assert!(!ours(path, from, to), "{path} {from:o} {to:o}");
    }
}

#[test]
fn a_secret_behind_a_link_and_a_folder_of_volumes_by_another_name_are_seen_for_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let (data, secret) = (folder.path().join("data"), folder.path().join("secret"));
    fs::create_dir_all(data.join("cells/a")).unwrap();
    chmod(&data, 0o700);
    fs::write(&secret, "x").unwrap();
    chmod(&secret, 0o644);
    symlink(&secret, folder.path().join("link")).unwrap();
    let mut config = Config::default();
    config.node.data_dir.clone_from(&data);
    config.containers.data_dir = data.join("cells");
    config.redis.password_file = folder.path().join("link");
    let mut report = Report::default();
    assert!(wanting(&config, &mut report).is_empty(), "neither a volume nor what a link leads to");
    assert_eq!(report.findings.iter().map(|it| it.rule).collect::<Vec<_>>(), ["files.mode"]);
}

#[test]
fn a_configuration_that_others_may_change_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let file = tempfile::NamedTempFile::new_in(&folder).unwrap();
    chmod(file.path(), 0o664);
    let mut report = Report::default();
    writable(file.path(), &mut report);
    assert_eq!(report.findings[0].rule, "files.configuration");
    chmod(file.path(), 0o644);
    let mut report = Report::default();
    writable(file.path(), &mut report);
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    chmod(folder.path(), 0o777);
    writable(file.path(), &mut report);
    assert_eq!(report.findings[0].place, folder.path().canonicalize().unwrap().display().to_string());
}

/// A file of somebody else's: as root one that is given away, as anybody else one of root's.
fn of_another(file: &Path) -> PathBuf {
    if geteuid().is_root() {
        std::os::unix::fs::chown(file, Some(65_534), None).unwrap();
        return file.to_owned();
    }
    PathBuf::from("/")
}

#[test]
fn only_the_owner_of_the_data_folder_changes_modes() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.node.data_dir = folder.path().to_owned();
    may_change(&config).unwrap();
    config.node.data_dir = of_another(folder.path());
    assert!(may_change(&config).unwrap_err().contains("run this as that user"));
}

#[test]
fn what_belongs_to_another_user_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let (top, file) = (folder.path().join("data"), folder.path().join("given"));
    fs::create_dir_all(top.join("pki")).unwrap();
    fs::write(&file, "x").unwrap();
    for dir in [&top, &top.join("pki")] {
        chmod(dir, 0o700);
    }
    let found = |data: &fs::Metadata| {
        let mut report = Report::default();
        walk(&top, data, Path::new("/nowhere"), &mut Vec::new(), &mut report);
        report.findings.into_iter().map(|it| (it.rule, it.place)).collect::<Vec<_>>()
    };
    assert!(found(&fs::metadata(&top).unwrap()).is_empty());
    // as if the data folder were the other's
    let other = fs::metadata(of_another(&file)).unwrap();
    assert!(found(&other).contains(&("files.owner", top.join("pki").display().to_string())));
}

#[test]
fn each_file_with_a_secret_that_the_configuration_names_is_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let (data, secret) = (folder.path().join("data"), folder.path().join("secret"));
    fs::create_dir(&data).unwrap();
    chmod(&data, 0o700);
    fs::write(&secret, "x").unwrap();
    chmod(&secret, 0o640);
    type Named = fn(&mut Config) -> &mut PathBuf;
    let all: [Named; 8] = [
        |it| &mut it.tls.key,
        |it| &mut it.store.password_file,
        |it| &mut it.store.cluster_password_file,
        |it| &mut it.store.migrate_password_file,
        |it| &mut it.redis.password_file,
        |it| &mut it.mail.smtp_password_file,
        |it| &mut it.audit.witness_key_file,
        |it| &mut it.snapshots.s3_secret_key_file,
    ];
    for (n, named) in all.into_iter().enumerate() {
        let mut config = Config::default();
        config.node.data_dir.clone_from(&data);
        named(&mut config).clone_from(&secret);
        let wanted = wanting(&config, &mut Report::default());
        assert_eq!(wanted, [Fix { path: secret.clone(), from: 0o640, to: 0o600 }], "the file number {n}");
    }
}

#[test]
fn a_key_that_others_may_read_is_found_behind_a_closed_door_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.node.data_dir = folder.path().to_owned();
    chmod(folder.path(), 0o700);
    for name in ["node.key", "sealing.keys", "db", "node.pem"] {
        fs::write(folder.path().join(name), "x").unwrap();
        chmod(&folder.path().join(name), 0o644);
    }
    let names = || {
        let found = wanting(&config, &mut Report::default());
        found.iter().map(|it| it.path.file_name().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(), ["node.key", "sealing.keys"]);
    chmod(folder.path(), 0o755);
    assert_eq!(names()[1..], ["db", "node.key", "sealing.keys"]);
}

#[test]
fn no_mode_is_changed_through_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let (file, link) = (folder.path().join("theirs"), folder.path().join("link.key"));
    fs::write(&file, "x").unwrap();
    chmod(&file, 0o644);
    symlink(&file, &link).unwrap();
    apply(&[Fix { path: link, from: 0o644, to: 0o600 }]).unwrap_err();
    assert_eq!(mode(&file), 0o644);
}

#[test]
fn a_configuration_is_roots_or_the_askers() {
    assert!(is_trusted(0) && is_trusted(geteuid().as_raw()));
    assert!(!is_trusted(65_534));
    let file = tempfile::NamedTempFile::new().unwrap();
    let theirs = of_another(file.path());
    let mut report = Report::default();
    writable(&theirs, &mut report);
    let found =
        report.findings.iter().any(|it| it.rule == "files.configuration" && it.severity == Severity::High);
    assert_eq!(found, geteuid().is_root(), "{report:?}");
}
