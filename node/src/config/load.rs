//! From file and environment to a checked [`Config`].

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::{Config, check};

/// Prefix of environment overrides: `OCMT__SECTION__KEY`.
const PREFIX: &str = "OCMT__";

/// Why a configuration is refused; each text says what to change.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}{}", begin(.source))]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML, or a key or value is not known.
    #[error("{0}")]
    Parse(String),
    /// An override names no section and key.
    #[error("{0} is not of the form OCMT__SECTION__KEY")]
    Override(String),
    /// A value is out of its bounds, or two do not go together.
    #[error("{key}: {problem}")]
    Value {
        /// `section.key`.
        key: &'static str,
        /// What is wrong and what to do.
        problem: String,
    },
}

fn begin(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::NotFound => "; `ocmt config print --default` prints one to begin with",
        _ => "",
    }
}

/// Reads `file` (defaults without one), applies the overrides among `env`, and checks the outcome.
pub fn load(file: Option<&Path>, env: impl Iterator<Item = (String, String)>) -> Result<Config, ConfigError> {
    let text = match file {
        Some(path) => {
            std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.into(), source })?
        }
        None => String::new(),
    };
    let mut table: Table = toml::from_str(&text).map_err(|error| ConfigError::Parse(error.to_string()))?;
    for (name, value) in env {
        if let Some(path) = name.strip_prefix(PREFIX) {
            set(&mut table, path, value).ok_or(ConfigError::Override(name))?;
        }
    }
    // from the text where there is no override, since errors then show the line
    let config: Config = Value::Table(table)
        .try_into()
        .map_err(|error: toml::de::Error| ConfigError::Parse(suggest(&error.to_string())))?;
    check(&config)?;
    Ok(config)
}

fn set(table: &mut Table, path: &str, value: String) -> Option<()> {
    let (section, key) = path.split_once("__")?;
    if section.is_empty() || key.is_empty() || key.contains("__") {
        return None;
    }
    let (section, key) = (section.to_ascii_lowercase(), key.to_ascii_lowercase());
    let entry = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
    // numbers and booleans as such, everything else as text
    let value = match value.parse::<i64>() {
        Ok(number) => Value::Integer(number),
        Err(_) => match value.parse::<bool>() {
            Ok(flag) => Value::Boolean(flag),
            Err(_) => Value::String(value),
        },
    };
    entry.as_table_mut()?.insert(key, value);
    Some(())
}

/// Serde names the unknown field and the known ones; people want the one they meant.
fn suggest(message: &str) -> String {
    let Some(rest) = message.split_once("unknown field `").map(|(_, rest)| rest) else {
        return message.to_owned();
    };
    let mut quoted = rest.split('`').step_by(2);
    let Some(unknown) = quoted.next() else { return message.to_owned() };
    let nearest = rest
        .split('`')
        .skip(2)
        .step_by(2)
        .map(|known| (strsim::damerau_levenshtein(unknown, known), known))
        .min()
        .filter(|(distance, _)| *distance <= 3);
    match nearest {
        Some((_, known)) => format!("unknown key `{unknown}`: did you mean `{known}`?\n{message}"),
        None => format!("unknown key `{unknown}`\n{message}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn from(text: &str, env: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        load(Some(file.path()), env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())))
    }

    const DEV: &str = "[node]\nmode = \"dev\"\n";

    #[test]
    fn a_mistyped_key_is_refused_with_the_one_that_was_meant() {
        let error = from("[hibernation]\npauze_after = \"30m\"\n", &[]).unwrap_err().to_string();
        assert!(error.contains("did you mean `pause_after`?"), "{error}");
        let error = from("[hibernaton]\n", &[]).unwrap_err().to_string();
        assert!(error.contains("did you mean `hibernation`?"), "{error}");
    }

    #[test]
    fn who_has_no_file_yet_is_told_what_prints_one() {
        let folder = tempfile::tempdir().unwrap();
        let absent = load(Some(&folder.path().join("ocmt.toml")), std::iter::empty()).unwrap_err();
        assert!(absent.to_string().contains("`ocmt config print --default`"), "{absent}");
        let another = load(Some(folder.path()), std::iter::empty()).unwrap_err();
        assert!(!another.to_string().contains("--default"), "{another}");
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let config = from(
            DEV,
            &[("OCMT__SESSIONS__PER_USER", "3"), ("OCMT__HIBERNATION__PAUSE_AFTER", "2s"), ("HOME", "x")],
        )
        .unwrap();
        assert_eq!((config.sessions.per_user, config.hibernation.pause_after.millis()), (3, 2000));
        assert!(matches!(from(DEV, &[("OCMT__SESSIONS", "3")]), Err(ConfigError::Override(_))));
    }

    #[test]
    fn the_printed_defaults_are_a_lawful_configuration() {
        let defaults = Config {
            mail: super::super::Mail { spool: "/var/spool/ocmt".into(), ..Default::default() },
            ..Config::default()
        };
        let text = toml::to_string(&defaults).unwrap();
        assert_eq!(from(&text, &[]).unwrap(), defaults);
    }
}
