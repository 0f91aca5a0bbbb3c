//! The PostgreSQL database that the configuration names: its address, and the logins to it.

use std::path::Path;

use ocmt_store::{PgConfig, PgLogin, PgRoles};

use crate::{
    config::Store,
    secret_file::{self, SecretFileError},
};

/// Why the logins are of no use; the text says what to do, and holds no password.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// A file with a password.
    #[error(transparent)]
    File(#[from] SecretFileError),
    /// Two passwords for one login.
    #[error(
        "the address of the database holds a password, and there is a file with one: write it in one place"
    )]
    Twice,
}

/// How to reach the database at `url` with the logins of `store`.
///
/// # Errors
/// [`LoginError`].
pub fn postgres(store: &Store, url: &str) -> Result<PgConfig, LoginError> {
    let password = secret_file::read(&store.password_file)?;
    if password.is_some() && holds_password(url) {
        return Err(LoginError::Twice);
    }
    let roles = if store.cluster_user.is_empty() {
        PgRoles::Found
    } else {
        let migrate = login(&store.migrate_user, &store.migrate_password_file)?;
        match login(&store.cluster_user, &store.cluster_password_file)? {
            Some(cluster) => PgRoles::Own { cluster, migrate },
            None => PgRoles::Found,
        }
    };
    Ok(PgConfig { password, roles, ..PgConfig::new(url) })
}

/// What whoever stands between here and the database could do, if they could do something.
pub fn warning(url: &str) -> Option<String> {
    let host = ocmt_store::unverified_host(url)?;
    Some(format!(
        "the certificate of the database at {host} is not checked, so whoever stands in between may read and change everything: write sslmode=verify-full into store.url"
    ))
}

/// Whether the login in an address comes with its password.
pub fn holds_password(url: &str) -> bool {
    let login = url.split_once("://").and_then(|(_, rest)| rest.rsplit_once('@'));
    login.is_some_and(|(login, _)| login.contains(':'))
}

fn login(user: &str, file: &Path) -> Result<Option<PgLogin>, LoginError> {
    if user.is_empty() {
        return Ok(None);
    }
    Ok(Some(PgLogin { user: user.to_owned(), password: secret_file::read(file)? }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn a_password_stands_in_one_place_that_others_cannot_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        let store = Store { password_file: file.clone(), ..Store::default() };
        let refused = |url: &str| postgres(&store, url).err().map(|error| error.to_string());
        assert!(refused("postgres://u@h/d").unwrap().contains("no such file"));
        fs::write(&file, "p@ss/word: \u{fc}\n").unwrap();
        assert!(refused("postgres://u@h/d").unwrap().contains("may be read by others"));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(refused("postgres://u:other@h/d").unwrap().contains("one place"));
        let config = postgres(&store, "postgres://u@h/d").unwrap();
        assert_eq!(config.password.unwrap().expose(), "p@ss/word: \u{fc}");
        assert!(matches!(config.roles, PgRoles::Found));
        fs::write(&file, "\n").unwrap();
        assert!(refused("postgres://u@h/d").unwrap().contains("is empty"));
    }

    #[test]
    fn a_password_is_found_in_an_address_and_nothing_else_is_taken_for_one() {
        for (url, holds) in [
            ("postgres://u:p@h:5432/d", true),
            ("postgres://u@h:5432/d", false),
            ("postgres://h:5432/d", false),
            ("postgres://u:p%40@h/d", true),
        ] {
            assert_eq!(holds_password(url), holds, "{url}");
        }
    }
}
