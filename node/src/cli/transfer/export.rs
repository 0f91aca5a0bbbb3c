//! `ocmt vault export`.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use anyhow::{Context as _, bail};
use data_encoding::BASE64;
use ocmt_client::{
    ClientError,
    conversation::{Conversation, Record},
    passphrase::NewPassphrase,
    vault::{Exported, Parts, Piece, Vault},
};
use ocmt_crypto::{entry::Entry, kdf::Cost};
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tokio::signal::unix::{Signal, SignalKind, signal};
use zeroize::Zeroizing;

use crate::cli::{
    args::ExportArgs,
    context::Context,
    conversation,
    output::{InClear, Waiting, note, waiting},
    secrets, show,
};

const IN_CLEAR: InClear<'_> =
    InClear { what: "a vault", argument: "--in-clear", readable: "all your secrets and conversations" };

pub(in crate::cli) async fn run(context: &Context, args: &ExportArgs) -> anyhow::Result<()> {
    if !args.overwrite && args.to.symlink_metadata().is_ok() {
        let text = format!("{} is there already: nothing was written (--overwrite)", args.to.display());
        return Err(ClientError::Usage(text).into());
    }
    let passphrase = if args.in_clear {
        IN_CLEAR.allowed(&args.to)?;
        None
    } else {
        Some(secrets::new_passphrase(&args.new, &[&context.email()])?)
    };
    let vault = match parts(args) {
        Parts::Everything => conversation::vault(context, &args.passphrase).await?,
        Parts::Entries => context.vault(&context.client().await?, &args.passphrase).await?,
    };
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
        Some(passphrase) => {
            vault.export(parts(args), passphrase, Cost::DEFAULT, &mut out, progress(&waiting)).await?
        }
        None => in_clear(vault, parts(args), &mut out, &waiting).await?,
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
        "conversations": told.conversations,
        "records": told.records,
        "pruned": told.pruned,
        "not_filed": told.not_filed,
        "keys_left_out": told.keys_left_out,
    });
    if told.pruned > 0 {
        let some = show::count(told.pruned, "conversation");
        note(&format!("of {some} the beginning is not there any more: the file has what is left"));
    }
    if told.not_filed > 0 {
        let some = show::count(told.not_filed, "conversation");
        note(&format!("{some} of containers left out, whose keys wait to be filed: `ocmt vault inbox`"));
    }
    context.out.value(&facts, || {
        let how = if args.in_clear { " IN CLEAR" } else { "" };
        let spoken = match told.conversations {
            0 => String::new(),
            talks => format!(
                " and {} with {}",
                show::count(talks, "conversation"),
                show::count(told.records, "record")
            ),
        };
        format!("wrote {}{spoken} to {}{how}", show::count(told.entries, "secret"), args.to.display())
    })
}

fn parts(args: &ExportArgs) -> Parts {
    if args.without_conversations { Parts::Entries } else { Parts::Everything }
}

fn progress(waiting: &Waiting) -> impl FnMut(usize, usize) + Send {
    |read, of| waiting.tell(&format!("{read} of {of} secrets and records"))
}

/// A JSON array with one entry, one conversation or one record of the conversation before on each line.
async fn in_clear(
    vault: &Vault,
    parts: Parts,
    out: &mut (impl Write + Send),
    waiting: &Waiting,
) -> Result<Exported, ClientError> {
    let mut between = "[\n";
    let take = |piece: Piece<'_>| {
        let line = match piece {
            Piece::Entry(version, entry) => plain(version, entry),
            Piece::Conversation(talk) => head(talk),
            Piece::Record(talk, record) => said(talk, record),
        };
        let line = Zeroizing::new(line.to_string());
        let written = write!(out, "{between}{}", line.as_str());
        between = ",\n";
        written.map_err(|error| unwritable(&error))
    };
    let told = vault.each(parts, take, &mut progress(waiting)).await?;
    let end = if between == "[\n" { "[]\n" } else { "\n]\n" };
    out.write_all(end.as_bytes()).map_err(|error| unwritable(&error))?;
    Ok(told)
}

fn plain(version: u64, entry: &Entry) -> Value {
    let (field, value) = text(&entry.value, ["value", "value_base64"]);
    json!({
        "name": entry.name.expose(),
        "version": version,
        "written_at": entry.attributes.written_at,
        "expires_at": entry.attributes.expires_at,
        "remind_at": entry.attributes.remind_at,
        field: value,
    })
}

fn head(of: &Conversation) -> Value {
    json!({
        "conversation": of.id,
        "container": of.container,
        "first_sequence": of.first_sequence,
        "created_at": of.created_at,
        "updated_at": of.updated_at,
    })
}

fn said(of: &Conversation, record: &Record) -> Value {
    let (field, value) = text(&record.text, ["text", "base64"]);
    json!({ "conversation": of.id, "sequence": record.sequence, "final": record.last, field: value })
}

/// As it is under the first name, or what is no text in base64 under the second.
fn text(bytes: &[u8], [plain, base64]: [&'static str; 2]) -> (&'static str, String) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (plain, text.to_owned()),
        Err(_) => (base64, BASE64.encode(bytes)),
    }
}

fn unwritable(error: &io::Error) -> ClientError {
    ClientError::Usage(format!("the export cannot be written: {error}"))
}
