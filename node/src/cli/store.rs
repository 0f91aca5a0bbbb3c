//! `ocmt migrate`, `backup`, `restore`, `store`: the database as a whole, with no node in between.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use ocmt_client::ClientError;
use ocmt_store::{Dump, Purpose, Store};
use ocmt_types::{Clock as _, SystemClock};
use tokio::{
    fs,
    io::{AsyncWriteExt as _, BufReader, BufWriter, duplex, sink},
};

use super::{
    args::{BackupArgs, CopyArgs, NodeArgs, RestoreArgs, StoreCommand},
    output::{self, Output},
};
use crate::{
    config::{self, Config, StorePlace},
    database,
};

/// Bytes of a copy that are under way.
const UNDER_WAY: usize = 1 << 20;

/// Brings the database to this version's schema.
///
/// # Errors
/// When it could not; nothing has changed then.
pub(super) async fn migrate(args: &NodeArgs, out: Output) -> anyhow::Result<ExitCode> {
    let place = Place::of(&load(&args.config)?)?;
    place.migrate().await?;
    out.done(&format!("the schema of {place} is up to date"))?;
    Ok(ExitCode::SUCCESS)
}

/// Writes a dump of the database.
///
/// # Errors
/// When the file is there or cannot be written, or the database cannot be read; no dump is there then.
pub(super) async fn backup(args: &BackupArgs, out: Output) -> anyhow::Result<ExitCode> {
    let store = Place::of(&load(&args.config)?)?.open().await?;
    if fs::try_exists(&args.to).await? {
        bail!("{} is there already: give another file", args.to.display());
    }
    // it gets its name when it is whole
    let partial = args.to.with_added_extension("partial");
    let written = Box::pin(write(&store, &partial)).await;
    store.close().await;
    let dump = match written {
        Ok(dump) => dump,
        Err(error) => {
            let _ = fs::remove_file(&partial).await;
            return Err(error);
        }
    };
    fs::rename(&partial, &args.to).await?;
    say(out, &dump, &format!("in {}", args.to.display()))?;
    Ok(ExitCode::SUCCESS)
}

async fn write(store: &Store, file: &Path) -> anyhow::Result<Dump> {
    let mut options = fs::OpenOptions::new();
    // addresses of people are in it
    let opened = options.write(true).create(true).truncate(true).mode(0o600).open(file).await;
    let mut file = BufWriter::new(opened.with_context(|| format!("cannot write {}", file.display()))?);
    let dump = store.dump(&mut file).await?;
    file.flush().await?;
    file.into_inner().sync_all().await?;
    Ok(dump)
}

/// Loads a dump into an empty database.
///
/// # Errors
/// When the dump is damaged or the database is not empty; nothing has changed then.
pub(super) async fn restore(args: &RestoreArgs, out: Output) -> anyhow::Result<ExitCode> {
    let file =
        fs::File::open(&args.from).await.with_context(|| format!("cannot read {}", args.from.display()))?;
    let place = Place::of(&load(&args.config)?)?;
    place.migrate().await?;
    let store = place.open().await?;
    let purpose = Purpose::Restore(SystemClock.now());
    let loaded = Box::pin(store.load(&mut BufReader::new(file), purpose)).await;
    store.close().await;
    let dump = loaded.with_context(|| format!("nothing was restored into {place}"))?;
    say(out, &dump, &format!("into {place}"))?;
    // an empty database has no cluster to be marked
    if dump.rows.iter().any(|(_, rows)| *rows > 0) {
        output::note("no node starts on it before `ocmt store accept-restore`");
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs a command on the store.
///
/// # Errors
/// Those of the command.
pub(super) async fn run(command: &StoreCommand, out: Output) -> anyhow::Result<ExitCode> {
    match command {
        StoreCommand::Copy(args) => Box::pin(copy(args, out)).await,
        StoreCommand::AcceptRestore(args) => Box::pin(super::accept::accept(args)).await,
    }
}

async fn copy(args: &CopyArgs, out: Output) -> anyhow::Result<ExitCode> {
    let from = Place::named(&args.from, args.from_password_file.as_deref())?;
    let to = Place::named(&args.to, args.to_password_file.as_deref())?;
    if let Place::Sqlite(folder) = &from {
        is_there(folder).await?;
    }
    // the folder's lock refuses a node that runs
    let source = from.open().await?;
    to.migrate().await?;
    let target = to.open().await?;
    let (mut writes, mut into) = duplex(UNDER_WAY);
    let dump = async {
        let dump = source.dump(&mut writes).await;
        drop(writes);
        dump
    };
    let (dumped, loaded) = tokio::join!(dump, target.load(&mut into, Purpose::Copy));
    // a load that failed is why the dump could not go on
    let loaded = loaded.with_context(|| format!("nothing was copied into {to}"))?;
    let dumped = dumped?;
    let found = target.dump(&mut sink()).await?;
    if found != dumped || loaded != dumped {
        bail!("what is in {to} now is not what was in {from}: empty it and copy again");
    }
    source.close().await;
    target.close().await;
    say(out, &dumped, &format!("from {from} into {to}, read again and the same"))?;
    Ok(ExitCode::SUCCESS)
}

/// Refuses a folder without a database; a data folder, which is what one has at hand, has it one deeper.
async fn is_there(folder: &Path) -> anyhow::Result<()> {
    let holds = async |folder: &Path| fs::try_exists(folder.join("ocmt.db")).await;
    if holds(folder).await? {
        return Ok(());
    }
    let inner = folder.join("db");
    let hint = if holds(&inner).await? {
        format!(": did you mean sqlite:{}?", inner.display())
    } else {
        String::new()
    };
    bail!("there is no database in {}{hint}", folder.display())
}

/// A database, where it is.
pub(super) enum Place {
    Sqlite(PathBuf),
    Postgres { url: String, logins: config::Store },
}

impl Place {
    pub(super) fn of(config: &Config) -> anyhow::Result<Self> {
        crate::pki::private_dir(&config.node.data_dir)?;
        Ok(match config.store.place() {
            None => Self::Sqlite(config.node.data_dir.join("db")),
            Some(StorePlace::Sqlite(folder)) => Self::Sqlite(folder),
            Some(StorePlace::Postgres(url)) => Self::Postgres { url, logins: config.store.clone() },
        })
    }

    /// One that was named on the command line, where no secret may stand.
    fn named(url: &str, password: Option<&Path>) -> anyhow::Result<Self> {
        let password_file = password.map(Path::to_owned).unwrap_or_default();
        let store = config::Store { url: url.to_owned(), password_file, ..config::Store::default() };
        match store.place() {
            Some(StorePlace::Sqlite(folder)) => Ok(Self::Sqlite(folder)),
            Some(StorePlace::Postgres(url)) => {
                ocmt_store::check_address(&url)
                    .map_err(|why| ClientError::Usage(format!("the address {why}")))?;
                warn(&url);
                if database::holds_password(&url) {
                    bail!("others see the arguments of a command: put the password into a file");
                }
                Ok(Self::Postgres { url, logins: store })
            }
            None => bail!("{url} is neither sqlite:FOLDER nor postgres://USER@HOST:PORT/DATABASE"),
        }
    }

    pub(super) async fn open(&self) -> anyhow::Result<Store> {
        let opened = match self {
            Self::Sqlite(folder) => Store::sqlite(folder).await,
            Self::Postgres { url, logins } => Store::postgres(&database::postgres(logins, url)?).await,
        };
        opened.with_context(|| format!("cannot open {self}"))
    }

    async fn migrate(&self) -> anyhow::Result<()> {
        let done = match self {
            Self::Sqlite(folder) => match Store::sqlite(folder).await {
                Ok(store) => {
                    store.close().await;
                    Ok(())
                }
                Err(error) => Err(error),
            },
            Self::Postgres { url, logins } => {
                Store::migrate_postgres(&database::postgres(logins, url)?).await
            }
        };
        done.with_context(|| format!("cannot migrate {self}"))
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(folder) => write!(f, "{}", folder.display()),
            // without the login, which may hold a password
            Self::Postgres { url, .. } => {
                let place = url.split_once("://").map_or(url.as_str(), |(_, place)| place);
                let host = place.rsplit_once('@').map_or(place, |(_, host)| host);
                write!(f, "PostgreSQL at {}", host.split('?').next().unwrap_or(host))
            }
        }
    }
}

/// What was written, and where.
fn say(out: Output, dump: &Dump, place: &str) -> anyhow::Result<()> {
    let rows: u64 = dump.rows.iter().map(|(_, rows)| rows).sum();
    let (tables, digest) = (dump.rows.len(), data_encoding::HEXLOWER.encode(&dump.digest));
    if out.json {
        let shown = serde_json::json!({ "rows": rows, "tables": tables, "sha256": digest });
        return out.value(&shown, String::new);
    }
    output::note(&format!("{rows} rows of {tables} tables, SHA-256 {digest}, {place}"));
    Ok(())
}

pub(super) fn load(file: &Path) -> anyhow::Result<Config> {
    let loaded = config::load(Some(file), std::env::vars());
    let config = loaded.with_context(|| format!("{} is refused", file.display()))?;
    warn(&config.store.url);
    Ok(config)
}

fn warn(url: &str) {
    if let Some(warning) = database::warning(url) {
        output::note(&format!("warning: {warning}"));
    }
}
