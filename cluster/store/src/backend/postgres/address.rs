//! The address of the database as an operator writes it: what is taken, and what is refused before anybody is
//! dialled.
//!
//! The driver passes over parameters that it does not know, so that a misspelt `sslmode` would turn verification
//! off without a word; and it reads a password with a `/` in it as a host and a path.

use std::{fs::File, net::IpAddr, str::FromStr as _};

use sqlx::postgres::{PgConnectOptions, PgSslMode};

/// What may stand behind the `?`. What a connection sets for itself (names, timeouts, options) is not among it,
/// nor is a password, which would be overlooked there.
const KNOWN: [&str; 9] =
    ["sslmode", "sslrootcert", "sslcert", "sslkey", "host", "hostaddr", "port", "dbname", "user"];
/// Those that name a file.
const FILES: [&str; 3] = ["sslrootcert", "sslcert", "sslkey"];
const MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/// Whether `url` is the address of a PostgreSQL database.
///
/// # Errors
/// What is wrong with it and what to do, to be read behind the name of the setting. It holds no password.
pub fn check_address(url: &str) -> Result<(), String> {
    parse(url).map(drop)
}

/// The host at `url` whose certificate would not be checked, though it is another machine; none where it is.
pub fn unverified_host(url: &str) -> Option<String> {
    let options = parse(url).ok()?;
    let host = options.get_host();
    let is_loopback = |host: &str| host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    let here = options.get_socket().is_some()
        || host.starts_with('/')
        || host == "localhost"
        || is_loopback(host.trim_matches(['[', ']']));
    let verified = matches!(options.get_ssl_mode(), PgSslMode::VerifyFull);
    (!here && !verified).then(|| host.to_owned())
}

/// The driver's reading of `url`, where it is one that we take.
pub(super) fn parse(url: &str) -> Result<PgConnectOptions, String> {
    let wrong = || "is no postgres:// URL".to_owned();
    let rest = ["postgres://", "postgresql://"].iter().find_map(|scheme| url.strip_prefix(scheme));
    let rest = rest.ok_or_else(wrong)?;
    let (_, behind) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    // before anything of it is repeated: it may be the rest of a password
    if behind.contains(['@', '#']) {
        return Err("has a @ or # behind its host: a password with @ / ? # in it belongs into a file \
                    (store.password_file), anything else of it is written %40 %2F %3F %23"
            .to_owned());
    }
    for pair in behind.split_once('?').map_or("", |(_, query)| query).split('&').filter(|it| !it.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        parameter(key, value)?;
    }
    // the text of the driver's error could hold the password
    PgConnectOptions::from_str(url).map_err(|_| wrong())
}

fn parameter(key: &str, value: &str) -> Result<(), String> {
    if key == "password" {
        return Err("has a password among its parameters: write it into a file".to_owned());
    }
    if !KNOWN.contains(&key) {
        return Err(format!("has a parameter that is not known, `{key}`: there are {}", KNOWN.join(", ")));
    }
    if key == "sslmode" && !MODES.contains(&value) {
        return Err(format!("has sslmode={value}: it is one of {}", MODES.join(", ")));
    }
    // the driver says "no such file" without its name; what is escaped is left to it
    if FILES.contains(&key) && !value.contains(['%', '+']) {
        File::open(value).map_err(|error| format!("names {key}={value}: {error}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn refused(url: &str) -> String {
        check_address(url).unwrap_err()
    }

    #[test]
    fn a_misspelt_parameter_does_not_turn_verification_off() {
        assert!(refused("postgres://u@db.example/d?sslmod=verify-full").contains("`sslmod`"));
        assert!(refused("postgres://u@db.example/d?sslmode=bogus").contains("verify-full"));
        assert!(refused("postgres://u@db.example/d?sslmode=verify-full&x").contains("`x`"));
        check_address("postgres://u@db.example:5432/d?sslmode=verify-full").unwrap();
        check_address("postgresql://u@localhost/d?host=/run/postgresql").unwrap();
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let text = refused("postgres://u@db.example/d?sslmode=verify-full&sslrootcert=/nowhere/ca.pem");
        assert!(text.contains("sslrootcert=/nowhere/ca.pem: No such file"), "{text}");
        let ca = tempfile::NamedTempFile::new().unwrap();
        check_address(&format!("postgres://u@db.example/d?sslrootcert={}", ca.path().display())).unwrap();
    }

    #[test]
    fn a_password_that_breaks_the_address_is_not_dialled_and_not_repeated() {
        for url in [
            "postgres://u:hunter2/x@db.example/d",
            "postgres://u:hunter2?x@db.example/d",
            "postgres://u:hunter2#x@db.example/d",
            "postgres://u@db.example/d?password=hunter2",
            "postgres://u:hunter2@[broken",
            "http://u:hunter2@db.example",
        ] {
            let text = refused(url);
            assert!(!text.contains("hunter") && !text.contains("x@"), "{text}");
        }
    }

    #[test]
    fn whoever_is_not_this_machine_shows_a_certificate() {
        for (url, host) in [
            ("postgres://u@db.example/d", Some("db.example")),
            ("postgres://u@db.example/d?sslmode=require", Some("db.example")),
            ("postgres://u@db.example/d?sslmode=verify-full", None),
            ("postgres://u@192.0.2.3:5432/d", Some("192.0.2.3")),
            ("postgres://u@127.0.0.1:5432/d", None),
            ("postgres://u@[::1]:5432/d", None),
            ("postgres://u@localhost/d", None),
            ("postgres://u@localhost/d?host=/run/postgresql", None),
        ] {
            assert_eq!(unverified_host(url).as_deref(), host, "{url}");
        }
    }
}
