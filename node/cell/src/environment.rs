//! What the workload's environment holds: a small clean base, and the mapped secrets over it.
//! Nothing of the cell's own environment passes but the names in [`PASSED_ON`].

use std::{collections::BTreeMap, ffi::OsString, path::PathBuf, process::Command, sync::OnceLock};

use ocmt_types::Secret;

use crate::CellError;

/// Names taken over from the cell's own environment when they are set: a small base, and where the proxy is.
pub const PASSED_ON: [&str; 11] = [
    "PATH",
    "HOME",
    "LANG",
    "TZ",
    "TMPDIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];
/// Variable with the name of the cell's socket ([`crate::door`]).
pub const DOOR: &str = "OCMT_CELL_DOOR";
/// Variable with the path of the cell's program: `"$OCMT_CELL" put NAME`.
pub const PROGRAM: &str = "OCMT_CELL";

/// Variable with the path of what the agents may do ([`crate::policy`]).
pub const POLICY: &str = "OCMT_AGENT_POLICY";

/// The same for the file of the policy.
static POLICY_FILE: OnceLock<PathBuf> = OnceLock::new();
/// One cell, one door: it is there before anything is started below it.
static OPEN_DOOR: OnceLock<String> = OnceLock::new();

/// Most variables one unlock may map.
pub const MAX_VARIABLES: usize = 256;
/// Longest name of a variable, in bytes.
pub const MAX_NAME_LEN: usize = 128;

/// The mapped secrets: variable name to value. Wiped when dropped.
#[derive(Default)]
pub struct Variables(BTreeMap<String, Secret<Vec<u8>>>);

impl Variables {
    /// Adds a variable.
    ///
    /// # Errors
    /// [`CellError::Invalid`] for a name that is not `[A-Za-z_][A-Za-z0-9_]*` or is longer than
    /// [`MAX_NAME_LEN`], a name that is there already, a value with a zero byte;
    /// [`CellError::Exhausted`] past [`MAX_VARIABLES`].
    pub fn insert(&mut self, name: &str, value: Secret<Vec<u8>>) -> Result<(), CellError> {
        if !is_name(name) {
            return Err(CellError::Invalid(
                "a variable's name is letters, digits and underscores, at most 128, not beginning with a digit",
            ));
        }
        if value.expose().contains(&0) {
            return Err(CellError::Invalid("a mapped value holds a zero byte, which no environment can"));
        }
        if self.0.len() >= MAX_VARIABLES {
            return Err(CellError::Exhausted("mapped variables"));
        }
        if self.0.contains_key(name) {
            return Err(CellError::Invalid("a variable is mapped twice"));
        }
        self.0.insert(name.to_owned(), value);
        Ok(())
    }

    /// The values, for redaction.
    pub fn values(&self) -> impl Iterator<Item = &[u8]> {
        self.0.values().map(|value| value.expose().as_slice())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What is started from here on is told where the door is.
pub fn open_door(name: String) {
    // a second one is never opened
    let _ = OPEN_DOOR.set(name);
}

/// What is started from here on is told where the policy is.
pub fn policy_is_at(file: PathBuf) {
    // it stays there
    let _ = POLICY_FILE.set(file);
}

/// Gives `command` the clean base, `PORT` if the workload has one, and the mapped secrets.
pub fn apply(command: &mut Command, port: Option<u16>, secrets: Option<&Variables>) {
    use std::os::unix::ffi::OsStringExt as _;
    command.env_clear();
    for name in PASSED_ON {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    if let Some(port) = port {
        command.env("PORT", port.to_string());
    }
    if let (Some(door), Ok(program)) = (OPEN_DOOR.get(), std::env::current_exe()) {
        command.env(DOOR, door).env(PROGRAM, program);
    }
    if let Some(file) = POLICY_FILE.get() {
        command.env(POLICY, file);
    }
    for (name, value) in secrets.into_iter().flat_map(|variables| &variables.0) {
        // Command keeps this copy; the allocator wipes it when the command is dropped
        command.env(name, OsString::from_vec(value.expose().clone()));
    }
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    name.len() <= MAX_NAME_LEN
        && bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn refuses_names_and_values_that_no_environment_can_hold() {
        let mut variables = Variables::default();
        for bad in ["", "1A", "A=B", "A B", "É", &"A".repeat(129)] {
            assert!(variables.insert(bad, Secret::new(vec![1])).is_err(), "{bad:?} was taken");
        }
        assert!(variables.insert("A", Secret::new(vec![1, 0, 2])).is_err());
        variables.insert("_A1", Secret::new(vec![1])).unwrap();
        assert!(variables.insert("_A1", Secret::new(vec![2])).is_err(), "mapped twice");
    }

    #[test]
    fn the_workload_gets_nothing_of_the_cells_environment_but_the_named_few() {
        let mut command = Command::new("env");
        command.env("STRAY", "1");
        apply(&mut command, Some(8080), None);
        let names: Vec<_> = command.get_envs().map(|(name, _)| name.to_str().unwrap().to_owned()).collect();
        assert!(names.iter().all(|name| name == "PORT" || PASSED_ON.contains(&name.as_str())), "{names:?}");
        assert!(names.contains(&"PORT".to_owned()));
    }
}
