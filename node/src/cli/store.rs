//! `ocmt migrate`, `backup`, `restore`, `store`: the database as a whole, with no node in between.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use ocmt_crypto::audit::Actor;
use ocmt_store::{Acceptance, Dump, PgConfig, Purpose, Store};
use ocmt_types::{Clock as _, IdGen, RandomIds, Secret, SystemClock};
use tokio::{
    fs,
    io::{AsyncWriteExt as _, BufReader, BufWriter, duplex, sink},
};

use super::{
    args::{AcceptArgs, BackupArgs, CopyArgs, NodeArgs, RestoreArgs, StoreCommand},
    output,
};
use crate::config::{self, Config, StorePlace};

/// Bytes of a copy that are under way.
const UNDER_WAY: usize = 1 << 20;

/// Brings the database to this version's schema.
///
/// # Errors
/// When it could not; nothing has changed then.
pub(super) async fn migrate(args: &NodeArgs) -> anyhow::Result<ExitCode> {
    let place = Place::of(&load(&args.config)?)?;
    place.migrate().await.context("the schema is not up to date")?;
    output::note(&format!("the schema of {place} is up to date"));
    Ok(ExitCode::SUCCESS)
}

/// Writes a dump of the database.
///
/// # Errors
/// When the file is there or cannot be written, or the database cannot be read; no dump is there then.
pub(super) async fn backup(args: &BackupArgs) -> anyhow::Result<ExitCode> {
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
    output::note(&format!("{} in {}", told(&dump), args.to.display()));
    Ok(ExitCode::SUCCESS)
}

async fn write(store: &Store, file: &Path) -> anyhow::Result<Dump> {
    let mut options = fs::OpenOptions::new();
    // addresses of people are in it
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(file).await?;
    let mut file = BufWriter::new(file);
    let dump = store.dump(&mut file).await?;
    file.flush().await?;
    file.into_inner().sync_all().await?;
    Ok(dump)
}

/// Loads a dump into an empty database.
///
/// # Errors
/// When the dump is damaged or the database is not empty; nothing has changed then.
pub(super) async fn restore(args: &RestoreArgs) -> anyhow::Result<ExitCode> {
    let file =
        fs::File::open(&args.from).await.with_context(|| format!("cannot read {}", args.from.display()))?;
    let place = Place::of(&load(&args.config)?)?;
    place.migrate().await?;
    let store = place.open().await?;
    let purpose = Purpose::Restore(SystemClock.now());
    let loaded = Box::pin(store.load(&mut BufReader::new(file), purpose)).await;
    store.close().await;
    let dump = loaded.with_context(|| format!("nothing was restored into {place}"))?;
    output::note(&format!(
        "{} into {place}\nno node starts on it before `ocmt store accept-restore`",
        told(&dump)
    ));
    Ok(ExitCode::SUCCESS)
}

/// Runs a command on the store.
///
/// # Errors
/// Those of the command.
pub(super) async fn run(command: &StoreCommand) -> anyhow::Result<ExitCode> {
    match command {
        StoreCommand::Copy(args) => Box::pin(copy(args)).await,
        StoreCommand::AcceptRestore(args) => accept(args).await,
    }
}

async fn copy(args: &CopyArgs) -> anyhow::Result<ExitCode> {
    let from = Place::named(&args.from, args.from_password_file.as_deref())?;
    let to = Place::named(&args.to, args.to_password_file.as_deref())?;
    if let Place::Sqlite(folder) = &from
        && !fs::try_exists(folder.join("ocmt.db")).await?
    {
        bail!("there is no database in {}", folder.display());
    }
    // the folder's lock refuses a node that runs
    let source = from.open().await?;
    to.migrate().await?;
    let target = to.open().await?;
    let (mut out, mut into) = duplex(UNDER_WAY);
    let dump = async {
        let dump = source.dump(&mut out).await;
        drop(out);
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
    output::note(&format!("{} from {from} into {to}, read again and the same", told(&dumped)));
    Ok(ExitCode::SUCCESS)
}

async fn accept(args: &AcceptArgs) -> anyhow::Result<ExitCode> {
    let store = Place::of(&load(&args.config)?)?.open().await?;
    let ids: &dyn IdGen = &RandomIds;
    let acceptance = Acceptance {
        at: SystemClock.now(),
        request: ids.id(),
        // whoever holds the database's login; no certificate of an operator is asked for
        actor: Actor::Anonymous,
        floor: args.floor,
    };
    let accepted = Box::pin(store.accept_restore(&acceptance)).await;
    store.close().await;
    let accepted = accepted?;
    output::note(&format!(
        "accepted: {} sessions ended, {} links and invitations dropped, {} ceremonies cancelled, told to {} tenants' audits; the view is at version {}",
        accepted.sessions, accepted.tokens, accepted.ceremonies, accepted.tenants, accepted.view_version
    ));
    Ok(ExitCode::SUCCESS)
}

/// A database, where it is.
enum Place {
    Sqlite(PathBuf),
    Postgres { url: String, password: Option<PathBuf> },
}

impl Place {
    fn of(config: &Config) -> anyhow::Result<Self> {
        crate::pki::private_dir(&config.node.data_dir)?;
        let password = Some(config.store.password_file.clone()).filter(|file| !file.as_os_str().is_empty());
        Ok(match config.store.place() {
            None => Self::Sqlite(config.node.data_dir.join("db")),
            Some(StorePlace::Sqlite(folder)) => Self::Sqlite(folder),
            Some(StorePlace::Postgres(url)) => Self::Postgres { url, password },
        })
    }

    /// One that was named on the command line, where no secret may stand.
    fn named(url: &str, password: Option<&Path>) -> anyhow::Result<Self> {
        let store = config::Store { url: url.to_owned(), ..config::Store::default() };
        match store.place() {
            Some(StorePlace::Sqlite(folder)) => Ok(Self::Sqlite(folder)),
            Some(StorePlace::Postgres(url)) => {
                let login = url.split_once("://").and_then(|(_, rest)| rest.split_once('@'));
                if login.is_some_and(|(login, _)| login.contains(':')) {
                    bail!("others see the arguments of a command: put the password into a file");
                }
                Ok(Self::Postgres { url, password: password.map(Path::to_owned) })
            }
            None => bail!("{url} is neither sqlite:FOLDER nor postgres://USER@HOST:PORT/DATABASE"),
        }
    }

    async fn open(&self) -> anyhow::Result<Store> {
        Ok(match self {
            Self::Sqlite(folder) => Store::sqlite(folder).await?,
            Self::Postgres { .. } => Store::postgres(&self.postgres()?).await?,
        })
    }

    async fn migrate(&self) -> anyhow::Result<()> {
        match self {
            Self::Sqlite(folder) => Store::sqlite(folder).await?.close().await,
            Self::Postgres { .. } => Store::migrate_postgres(&self.postgres()?).await?,
        }
        Ok(())
    }

    fn postgres(&self) -> anyhow::Result<PgConfig> {
        let Self::Postgres { url, password } = self else { bail!("this is no PostgreSQL database") };
        let read = |file: &PathBuf| {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("cannot read the password in {}", file.display()))?;
            anyhow::Ok(Secret::new(text.trim_end().to_owned()))
        };
        let password = password.as_ref().map(read).transpose()?;
        Ok(PgConfig { password, ..PgConfig::new(url.clone()) })
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(folder) => write!(f, "{}", folder.display()),
            // without the login, which may hold a password
            Self::Postgres { url, .. } => {
                let host = url.rsplit_once('@').map_or("PostgreSQL", |(_, host)| host);
                write!(f, "{}", host.split('?').next().unwrap_or(host))
            }
        }
    }
}

fn told(dump: &Dump) -> String {
    let rows: u64 = dump.rows.iter().map(|(_, rows)| rows).sum();
    let digest = dump.digest.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    format!("{rows} rows of {} tables, SHA-256 {digest},", dump.rows.len())
}

fn load(file: &Path) -> anyhow::Result<Config> {
    config::load(Some(file), std::env::vars()).with_context(|| format!("{} is refused", file.display()))
}
