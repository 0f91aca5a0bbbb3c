//! Secrets on their way in: from a file, an open descriptor, standard input or a prompt, never from an
//! argument.

use std::{
    fs::File,
    io::{self, IsTerminal as _, Read as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use ocmt_client::{ClientError, hardware::Token, passphrase::NewPassphrase, vault::Key};
use ocmt_crypto::{backup_key::BackupKey, kdf::Passphrase};
use zeroize::Zeroizing;

use super::{
    args::{NewPassphraseArgs, PassphraseArgs},
    output::note,
};

/// A little over the largest secret: what is longer is refused later with a clear error.
const MOST: u64 = 80 << 10;

/// The passphrase of something else than the vault, asked for in these words.
pub(super) fn passphrase_of(words: &str, args: &PassphraseArgs) -> anyhow::Result<Passphrase> {
    match source(args.passphrase_file.as_deref(), args.passphrase_fd) {
        Some(path) => Ok(Passphrase::new(&from_file(&path)?)?),
        None => Ok(Passphrase::new(&prompt(words, "--passphrase-file")?)?),
    }
}

/// The same, from a file or the terminal.
pub(super) fn passphrase_in(words: &str, file: Option<&Path>) -> anyhow::Result<Passphrase> {
    Ok(match file {
        Some(path) => Passphrase::new(&line(path)?)?,
        None => Passphrase::new(&prompt(words, "--passphrase-file")?)?,
    })
}

/// How often somebody at a terminal may think of another passphrase.
const TRIES: usize = 4;

/// What opens the vault: the passphrase, unless something else was named.
pub(super) fn key(args: &PassphraseArgs) -> anyhow::Result<Key> {
    if args.hardware {
        return Ok(Key::Hardware(Token::parse(&args.hardware_command)?));
    }
    if let Some(file) = &args.backup_key_file {
        return backup_key(&whole(file)?);
    }
    if args.backup_key {
        let typed = prompt("Backup key of your vault (not shown): ", "--backup-key-file")?;
        return backup_key(&typed);
    }
    Ok(Key::Passphrase(match source(args.passphrase_file.as_deref(), args.passphrase_fd) {
        Some(path) => Passphrase::new(&from_file(&path)?)?,
        None => Passphrase::new(&prompt("Passphrase of your vault: ", "--passphrase-file")?)?,
    }))
}

fn backup_key(typed: &str) -> anyhow::Result<Key> {
    let mistyped = "this is no backup key, or it is mistyped: it has 14 groups of four letters and digits";
    let key = BackupKey::parse(typed).map_err(|_| ClientError::Usage(mistyped.to_owned()))?;
    Ok(Key::Backup(key))
}

/// A passphrase to be; asked for twice. `about` is what others know of its owner.
pub(super) fn new_passphrase(args: &NewPassphraseArgs, about: &[&str]) -> anyhow::Result<NewPassphrase> {
    if let Some(path) = source(args.new_passphrase_file.as_deref(), args.new_passphrase_fd) {
        return Ok(NewPassphrase::new(&from_file(&path)?, about)?);
    }
    let mut tries = 1;
    loop {
        let first = prompt("New passphrase: ", "--new-passphrase-file")?;
        match NewPassphrase::new(&first, about) {
            Ok(good) => {
                let second = prompt("The same again: ", "--new-passphrase-file")?;
                if *first == *second {
                    return Ok(good);
                }
                let text = "the two are not the same: nothing was changed";
                return Err(ClientError::Usage(text.to_owned()).into());
            }
            Err(ClientError::Usage(why)) if tries < TRIES => {
                note(&why);
                tries += 1;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// The value of a secret: from the file, else from standard input if that is no terminal, else typed.
pub(super) fn value(file: Option<&Path>) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    match file {
        Some(path) if path != Path::new("-") => read(open(path)?),
        Some(_) => read(io::stdin().lock()),
        None if !io::stdin().is_terminal() => read(io::stdin().lock()),
        None => Ok(Zeroizing::new(prompt("Value (not shown): ", "--value-file")?.as_bytes().to_vec())),
    }
}

/// One line of a file, or of standard input for `-`.
pub(super) fn line(file: &Path) -> anyhow::Result<Zeroizing<String>> {
    if file == Path::new("-") {
        let mut line = Zeroizing::new(String::with_capacity(256));
        io::stdin().read_line(&mut line).context("cannot read standard input")?;
        return Ok(line);
    }
    let bytes = read(open(file)?)?;
    let text = std::str::from_utf8(&bytes).with_context(|| format!("{} is not text", file.display()))?;
    Ok(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()))
}

fn source(file: Option<&Path>, descriptor: Option<u32>) -> Option<PathBuf> {
    file.map(Path::to_owned).or_else(|| descriptor.map(|n| PathBuf::from(format!("/dev/fd/{n}"))))
}

/// All of a file, without the end of its last line.
fn from_file(path: &Path) -> anyhow::Result<Zeroizing<String>> {
    let bytes = read(open(path)?)?;
    let text = std::str::from_utf8(&bytes).with_context(|| format!("{} is not text", path.display()))?;
    let line = text.strip_suffix('\n').unwrap_or(text);
    Ok(Zeroizing::new(line.strip_suffix('\r').unwrap_or(line).to_owned()))
}

/// The same; `-` is standard input. A key on paper may have been typed in over several lines.
fn whole(path: &Path) -> anyhow::Result<Zeroizing<String>> {
    from_file(if path == Path::new("-") { Path::new("/dev/stdin") } else { path })
}

fn open(path: &Path) -> anyhow::Result<File> {
    File::open(path).with_context(|| format!("cannot read {}", path.display()))
}

fn read(from: impl io::Read) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    // room for all of it at once: a buffer that grows leaves pieces behind
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(MOST)? + 1));
    from.take(MOST + 1).read_to_end(&mut bytes).context("cannot read it")?;
    if bytes.len() as u64 > MOST {
        bail!("too large: a secret is at most 64 KiB");
    }
    Ok(bytes)
}

/// Something typed that is not shown.
pub(super) fn prompt(text: &str, instead: &str) -> anyhow::Result<Zeroizing<String>> {
    let typed = rpassword::prompt_password(text);
    let typed =
        typed.map_err(|_| ClientError::Usage(format!("there is no terminal to ask on: use {instead}")))?;
    Ok(Zeroizing::new(typed))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_passphrase_file_may_end_its_line_and_a_value_is_taken_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p");
        for (text, expected) in
            [("open sesame", "open sesame"), ("a b \r\n", "a b "), ("two\nlines\n", "two\nlines")]
        {
            std::fs::write(&path, text).unwrap();
            assert_eq!(from_file(&path).unwrap().as_str(), expected);
        }
        std::fs::write(&path, "value\n").unwrap();
        assert_eq!(value(Some(&path)).unwrap().as_slice(), b"value\n");
        std::fs::write(&path, vec![0; 81 << 10]).unwrap();
        assert!(value(Some(&path)).is_err());
    }
}
