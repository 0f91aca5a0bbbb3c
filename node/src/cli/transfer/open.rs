//! A file to import, and the key that opens it.

use std::{
    fs::File,
    io::{Read as _, Seek as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use ocmt_client::{
    ClientError,
    vault::import::{EarlierFile, ExportFile, Source},
};
use ocmt_crypto::{
    CryptoError,
    codec::MAGIC,
    import::{FieldKeys, MAX_FILE, OldVault, Seed, read_fields},
    kdf::Passphrase,
};
use zeroize::Zeroizing;

use crate::cli::{args::ImportArgs, secrets};

/// The largest record or share, in bytes.
const MAX_RECORD: usize = 1 << 20;

/// Opens the file that is named, by the way that is. One error for all that may be wrong with it.
pub(super) fn source(args: &ImportArgs) -> anyhow::Result<Source> {
    opened(args).map_err(|error| match error.downcast_ref::<ClientError>() {
        Some(ClientError::Crypto(CryptoError::Refused)) => refused(args),
        Some(ClientError::Crypto(later @ CryptoError::UnsupportedVersion)) => {
            anyhow::anyhow!("nothing was imported: {} was {later}", args.file.display())
        }
        _ if error.downcast_ref() == Some(&CryptoError::Refused) => refused(args),
        _ => error,
    })
}

fn refused(args: &ImportArgs) -> anyhow::Error {
    anyhow::anyhow!(
        "nothing was imported: {} does not open; the password or key is wrong, or the file is damaged or of another kind",
        args.file.display()
    )
}

fn opened(args: &ImportArgs) -> anyhow::Result<Source> {
    let mut file = File::open(&args.file).with_context(|| format!("cannot read {}", args.file.display()))?;
    if !file.metadata()?.is_file() {
        // it is read twice
        let text = format!("{} is no file: a pipe or a device cannot be imported", args.file.display());
        return Err(ClientError::Usage(text).into());
    }
    let mut magic = [0; MAGIC.len()];
    if file.read_exact(&mut magic).is_ok() && magic == MAGIC {
        return export(args, file);
    }
    file.rewind()?;
    let bytes = read_file(file, &args.file, MAX_FILE)?;
    let items = if let Some(keys) = &args.field_keys {
        read_fields(&bytes, &FieldKeys::parse(&read(keys, MAX_RECORD)?)?)?
    } else {
        let vault = OldVault::parse(&bytes)?;
        match seed(args)? {
            Some(seed) => vault.open_with_seed(&seed)?,
            None => vault.open_with_password(&password(args)?)?,
        }
    };
    Ok(Source::Earlier(EarlierFile::new(&bytes, items)))
}

fn export(args: &ImportArgs, file: File) -> anyhow::Result<Source> {
    let other = args.phrase_file.is_some()
        || args.old_backup_key_file.is_some()
        || args.field_keys.is_some()
        || !args.shares.is_empty();
    if other {
        return Err(ClientError::Usage("an export is opened by its passphrase alone".to_owned()).into());
    }
    let export = ExportFile::open(file, &Passphrase::new(&password(args)?)?)?;
    Ok(Source::Export(if args.without_conversations { export.without_conversations() } else { export }))
}

/// The password as it was typed: the earlier implementation did not normalise it.
fn password(args: &ImportArgs) -> anyhow::Result<Zeroizing<String>> {
    match &args.password_file {
        Some(file) => secrets::line(file),
        None => secrets::prompt("Password of the file: ", "--password-file"),
    }
}

/// The seed of an earlier vault, if a way to it was named.
fn seed(args: &ImportArgs) -> anyhow::Result<Option<Seed>> {
    if let Some(file) = &args.phrase_file {
        return Ok(Some(Seed::from_phrase(&secrets::line(file)?)?));
    }
    if let (Some(key), Some(record)) = (&args.old_backup_key_file, &args.backup_record) {
        return Ok(Some(Seed::from_backup(&secrets::line(key)?, &read(record, MAX_RECORD)?)?));
    }
    if args.shares.is_empty() { Ok(None) } else { shares(&args.shares).map(Some) }
}

fn shares(files: &[PathBuf]) -> anyhow::Result<Seed> {
    if let [one] = files {
        return Ok(Seed::from_social(&read(one, MAX_RECORD)?)?);
    }
    let shares = files.iter().map(|file| secrets::line(file)).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(Seed::from_shares(&shares)?)
}

fn read(path: &Path, most: usize) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    read_file(file, path, most)
}

fn read_file(file: File, path: &Path, most: usize) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    if length > most {
        bail!("nothing was imported: {} is larger than {} MiB", path.display(), most >> 20);
    }
    // room for all of it at once: a buffer that grows leaves pieces behind
    let mut bytes = Zeroizing::new(Vec::with_capacity(length + 1));
    file.take(most as u64 + 1).read_to_end(&mut bytes).context("cannot read it")?;
    Ok(bytes)
}
