//! `ocmt vault export`.

use std::{
    fs::File,
    io::{self, BufWriter, IsTerminal as _, Write},
    path::Path,
};

use anyhow::{Context as _, bail};
use data_encoding::BASE64;
use ocmt_client::{
    ClientError,
    passphrase::NewPassphrase,
    vault::{Exported, Vault},
};
use ocmt_crypto::{entry::Entry, kdf::Cost};
use serde_json::json;
use tempfile::NamedTempFile;
use tokio::signal::unix::{Signal, SignalKind, signal};
use zeroize::Zeroizing;

use crate::cli::{
    args::ExportArgs,
    context::Context,
    output::{Waiting, confirm, waiting},
    secrets, show,
};

pub(in crate::cli) async fn run(context: &Context, args: &ExportArgs) -> anyhow::Result<()> {
    if !args.overwrite && args.to.symlink_metadata().is_ok() {
        let text = format!("{} is there already: nothing was written (--overwrite)", args.to.display());
        return Err(ClientError::Usage(text).into());
    }
    let passphrase = if args.in_clear {
        allowed(&args.to)?;
        None
    } else {
        Some(secrets::new_passphrase(&args.new, &[&context.email()])?)
    };
    let client = context.client().await?;
    let vault = context.vault(&client, &args.passphrase).await?;
    let mut stop = Stop::listen()?;
    // what is dropped takes its file with it
    let told = tokio::select! {
        told = write(&vault, args, passphrase) => told?,
        () = stop.asked() => bail!("stopped: nothing was written"),
    };
    tell(context, args, told)
}

/// Writes beside the file that is to be, for its owner alone (mode 0600), and gives it its name at the end.
async fn write(
    vault: &Vault,
    args: &ExportArgs,
    passphrase: Option<NewPassphrase>,
) -> anyhow::Result<Exported> {
    let folder = args.to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let part = NamedTempFile::new_in(folder);
    let part = part.with_context(|| format!("cannot write into {}", folder.display()))?;
    let waiting = waiting("reading the vault");
    let mut out = BufWriter::new(part);
    let told = match passphrase {
        Some(passphrase) => vault.export(passphrase, Cost::DEFAULT, &mut out, progress(&waiting)).await?,
        None => in_clear(vault, &mut out, &waiting).await?,
    };
    let part = out.into_inner().map_err(io::IntoInnerError::into_error).context("cannot write")?;
    part.as_file().sync_all().context("cannot write")?;
    let kept = if args.overwrite { part.persist(&args.to) } else { part.persist_noclobber(&args.to) };
    kept.map_err(|error| error.error).with_context(|| format!("cannot write {}", args.to.display()))?;
    // the name is to be there after a power cut as well as the file
    File::open(folder).and_then(|folder| folder.sync_all()).context("cannot write")?;
    Ok(told)
}

/// The ways in which a person or the system asks for an end.
struct Stop([Signal; 3]);

impl Stop {
    /// Listens from now on: before there is anything that an end would leave behind.
    fn listen() -> io::Result<Self> {
        let [interrupt, hang_up, end] =
            [SignalKind::interrupt(), SignalKind::hangup(), SignalKind::terminate()].map(signal);
        Ok(Self([interrupt?, hang_up?, end?]))
    }

    async fn asked(&mut self) {
        let Self([interrupt, hang_up, end]) = self;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = hang_up.recv() => {}
            _ = end.recv() => {}
        }
    }
}

fn tell(context: &Context, args: &ExportArgs, told: Exported) -> anyhow::Result<()> {
    let facts = json!({
        "file": args.to,
        "in_clear": args.in_clear,
        "entries": told.entries,
        "keys_left_out": told.keys_left_out,
    });
    context.out.value(&facts, || {
        let how = if args.in_clear { " IN CLEAR" } else { "" };
        format!("wrote {} to {}{how}", show::count(told.entries, "secret"), args.to.display())
    })
}

/// In clear only where a person sees it happen, and says so.
fn allowed(to: &Path) -> anyhow::Result<()> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        let text = "a vault is written in clear only at a terminal: leave --in-clear out".to_owned();
        return Err(ClientError::Usage(text).into());
    }
    let question =
        format!("Everybody who can read {} will read all your secrets. Write them in clear?", to.display());
    if !confirm(&question, "no other way")? {
        bail!("nothing was written");
    }
    Ok(())
}

fn progress(waiting: &Waiting) -> impl FnMut(usize, usize) + Send {
    |read, of| waiting.tell(&format!("{read} of {of} secrets"))
}

/// A JSON array with one entry on each line.
async fn in_clear(
    vault: &Vault,
    out: &mut (impl Write + Send),
    waiting: &Waiting,
) -> Result<Exported, ClientError> {
    let mut between = "[\n";
    let told = vault
        .each_entry(
            |version, entry| {
                let line = Zeroizing::new(plain(version, entry).to_string());
                let written = write!(out, "{between}{}", line.as_str());
                between = ",\n";
                written.map_err(|error| unwritable(&error))
            },
            &mut progress(waiting),
        )
        .await?;
    let end = if between == "[\n" { "[]\n" } else { "\n]\n" };
    out.write_all(end.as_bytes()).map_err(|error| unwritable(&error))?;
    Ok(told)
}

fn plain(version: u64, entry: &Entry) -> serde_json::Value {
    let (field, value) = match std::str::from_utf8(&entry.value) {
        Ok(text) => ("value", text.to_owned()),
        Err(_) => ("value_base64", BASE64.encode(&entry.value)),
    };
    json!({
        "name": entry.name.expose(),
        "version": version,
        "written_at": entry.attributes.written_at,
        "expires_at": entry.attributes.expires_at,
        "remind_at": entry.attributes.remind_at,
        field: value,
    })
}

fn unwritable(error: &io::Error) -> ClientError {
    ClientError::Usage(format!("the export cannot be written: {error}"))
}
