//! `ocmt conversation`: what is said is encrypted and opened here; the node keeps sealed records in order.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead as _, BufReader, Read as _, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    time::Duration,
};

use anyhow::{Context as _, bail};
use data_encoding::BASE64;
use ocmt_client::{
    ClientError,
    conversation::{Conversation, ExportReader, ExportWriter, Exported, MOST_OF_A_LINE, Start, Writer},
    vault::Vault,
};
use ocmt_crypto::kdf::Cost;
use ocmt_types::ContainerId;
use serde_json::json;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _};

use super::{
    args::{AppendArgs, ConversationCommand, ConversationExportArgs, PassphraseArgs, ReadArgs},
    context::Context,
    output::{InClear, note, waiting},
    secrets, show,
};

/// What waits is sent at the latest when it is so much, or when so long nothing more came.
const SEND_BYTES: usize = 1 << 20;
const SEND_AFTER: Duration = Duration::from_millis(200);

const IN_CLEAR: InClear<'_> =
    InClear { what: "a conversation", argument: "--clear", readable: "all of this conversation" };

pub(super) async fn run(context: &Context, command: ConversationCommand) -> anyhow::Result<()> {
    match command {
        ConversationCommand::Open { container, passphrase } => open(context, container, &passphrase).await,
        ConversationCommand::Append(args) => append(context, &args).await,
        ConversationCommand::Read(args) => match &args.export {
            Some(file) => read_export(context, file, &args).await,
            None => read(context, &args).await,
        },
        ConversationCommand::Ls { passphrase } => list(context, &passphrase).await,
        ConversationCommand::Export(args) => export(context, &args).await,
        ConversationCommand::Rm { conversation, passphrase } => {
            vault(context, &passphrase).await?.delete_conversation(conversation).await?;
            context.out.done("the conversation was deleted, with all its records and its key")
        }
    }
}

/// The vault, in which what containers began was filed.
pub(super) async fn vault(context: &Context, passphrase: &PassphraseArgs) -> anyhow::Result<Vault> {
    let client = context.client().await?;
    let mut vault = context.vault(&client, passphrase).await?;
    // what containers began is the vault's from here on
    match vault.file_conversations().await {
        Ok(filed) if filed.is_empty() => {}
        Ok(filed) => {
            let many = show::count(filed.len(), "conversation");
            note(&format!("{many} that your containers began: the vault has the key now"));
        }
        Err(error) => note(&format!("conversations that your containers began were not filed: {error}")),
    }
    Ok(vault)
}

async fn open(
    context: &Context,
    container: Option<ContainerId>,
    passphrase: &PassphraseArgs,
) -> anyhow::Result<()> {
    let made = vault(context, passphrase).await?.open_conversation(container).await?;
    context.out.value(&made, || made.id.to_string())
}

async fn list(context: &Context, passphrase: &PassphraseArgs) -> anyhow::Result<()> {
    let all = vault(context, passphrase).await?.conversations().await?;
    let head = ["CONVERSATION", "RECORDS", "", "LAST USED", "CONTAINER"];
    context.out.list(&all, &head, |one| {
        let container = one.container.map(|id| id.to_string()).unwrap_or_default();
        let (used, state) = (show::at(one.updated_at), state(one));
        vec![one.id.to_string(), one.records.to_string(), state, used, container]
    })
}

fn state(of: &Conversation) -> String {
    let pruned = (of.first_sequence > 1).then(|| format!("from {} on", of.first_sequence));
    let finished = of.finished.then(|| "finished".to_owned());
    [finished, pruned].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

async fn append(context: &Context, args: &AppendArgs) -> anyhow::Result<()> {
    let mut vault = vault(context, &args.passphrase).await?;
    let mut writer = vault.write_conversation(args.conversation).await?;
    let before = writer.stored().count;
    let appended = append_all(&mut writer, args).await;
    let (at, finished) = (writer.stored(), writer.is_finished());
    if let Err(error) = vault.note_conversation(args.conversation, at, finished).await {
        note(&format!(
            "your vault could not note how far the conversation is, and a node that cut records off would not be found out until it has; the next `append` does it, or `read` of a finished one: {error}"
        ));
    }
    let added = show::count(usize::try_from(at.count - before)?, "record");
    appended.with_context(|| format!("{added} added, the others not"))?;
    let facts = json!({ "added": at.count - before, "records": at.count, "finished": finished });
    context.out.value(&facts, || format!("{added} added, {} in all", at.count))
}

async fn append_all(writer: &mut Writer, args: &AppendArgs) -> anyhow::Result<()> {
    let mut lines = Lines { held: None, finish: args.finish };
    if args.file.is_empty() {
        lines.append(writer, tokio::io::BufReader::new(tokio::io::stdin())).await?;
    }
    for file in &args.file {
        let opened = tokio::fs::File::open(file).await;
        let opened = opened.with_context(|| format!("cannot read {}", file.display()))?;
        lines.append(writer, tokio::io::BufReader::new(opened)).await?;
    }
    if args.finish {
        writer.push(&lines.held.unwrap_or_default(), true)?;
    }
    writer.flush().await?;
    Ok(())
}

/// Lines on their way to a conversation.
struct Lines {
    /// It may be the last one.
    held: Option<Vec<u8>>,
    finish: bool,
}

impl Lines {
    async fn append(&mut self, writer: &mut Writer, from: impl AsyncBufRead + Unpin) -> anyhow::Result<()> {
        let mut lines = from.split(b'\n');
        loop {
            let next = match tokio::time::timeout(SEND_AFTER, lines.next_segment()).await {
                Ok(next) => next.context("cannot read it")?,
                Err(_) => {
                    writer.flush().await?;
                    lines.next_segment().await.context("cannot read it")?
                }
            };
            let Some(line) = next else { return Ok(()) };
            let line = if self.finish { self.held.replace(line) } else { Some(line) };
            if let Some(line) = line {
                writer.push(&line, false)?;
            }
            if writer.waiting() > SEND_BYTES {
                writer.flush().await?;
            }
        }
    }
}

async fn read(context: &Context, args: &ReadArgs) -> anyhow::Result<()> {
    let conversation = args.conversation.context("which conversation?")?;
    let mut vault = vault(context, &args.passphrase).await?;
    let start = if args.pruned { Start::FirstLeft } else { Start::First };
    let mut reading = vault.read_conversation(conversation, start, args.follow).await?;
    loop {
        let record = tokio::select! {
            record = reading.next() => record?,
            stopped = tokio::signal::ctrl_c() => return Ok(stopped?),
        };
        let Some(record) = record else {
            if reading.is_finished() {
                // its anchor has done what it was for; one that stays harms nobody
                let _ = vault.note_conversation(conversation, reading.anchor(), true).await;
            }
            return Ok(());
        };
        if record.sequence >= args.from {
            let mut out = io::stdout().lock();
            show_record(&mut out, context.out.json, record.sequence, &record.text)?;
            out.flush()?;
        }
    }
}

async fn read_export(context: &Context, file: &Path, args: &ReadArgs) -> anyhow::Result<()> {
    let mut lines = ExportLines::open(file)?;
    let (head, what) = (lines.next()?, lines.next()?);
    let (Some(head), Some(what)) = (head, what) else {
        return Err(ClientError::Usage("this is no exported conversation".to_owned()).into());
    };
    let passphrase = secrets::passphrase_of("Passphrase of the export: ", &args.passphrase)?;
    let mut reader = {
        let _waiting = waiting("opening the export");
        ExportReader::begin(&head, &what, passphrase).await?
    };
    let mut out = io::stdout().lock();
    while let Some(line) = lines.next()? {
        if let Some((sequence, text)) = reader.next(&line)?
            && sequence >= args.from
        {
            show_record(&mut out, context.out.json, sequence, &text)?;
        }
    }
    out.flush()?;
    if !reader.is_whole() {
        bail!("the file ends before its last line: the end was cut off");
    }
    Ok(())
}

/// Lines of a file, none of them longer than those of an export.
struct ExportLines(BufReader<File>);

impl ExportLines {
    fn open(file: &Path) -> anyhow::Result<Self> {
        let opened = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
        Ok(Self(BufReader::new(opened)))
    }

    fn next(&mut self) -> anyhow::Result<Option<String>> {
        let mut line = String::new();
        let read = (&mut self.0).take(MOST_OF_A_LINE).read_line(&mut line).context("cannot read the file")?;
        Ok((read > 0).then(|| line.trim_end().to_owned()))
    }
}

async fn export(context: &Context, args: &ConversationExportArgs) -> anyhow::Result<()> {
    if args.clear {
        IN_CLEAR.allowed(&args.out)?;
    }
    let vault = vault(context, &args.passphrase).await?;
    let start = if args.pruned { Start::FirstLeft } else { Start::First };
    let mut reading = vault.read_conversation(args.conversation, start, false).await?;
    let what = Exported::from(reading.conversation());
    let mut sealed = match args.clear {
        true => None,
        false => {
            let passphrase = secrets::new_passphrase(&args.new, &[&context.email()])?;
            let tenant = vault.client().identity()?.tenant;
            Some(ExportWriter::begin(tenant, passphrase, Cost::DEFAULT, &what).await?)
        }
    };
    let mut out = target(&args.out)?;
    if let Some((_, head)) = &sealed {
        writeln!(out, "{head}")?;
    }
    let mut records = 0_usize;
    while let Some(record) = reading.next().await? {
        records += 1;
        match &mut sealed {
            Some((export, _)) => writeln!(out, "{}", export.line(&record.text)?)?,
            None => show_record(&mut out, true, record.sequence, &record.text)?,
        }
    }
    if let Some((export, _)) = sealed {
        writeln!(out, "{}", export.end()?)?;
    }
    out.flush()?;
    let kind = if args.clear { "in clear" } else { "under its passphrase" };
    note(&format!("wrote {} {kind}", show::count(records, "record")));
    Ok(())
}

fn target(out: &Path) -> anyhow::Result<Box<dyn Write>> {
    if out == Path::new("-") {
        return Ok(Box::new(io::stdout().lock()));
    }
    // a new one: what is there has its own mode, and may be all that is left of the conversation
    let file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(out);
    let file = file.with_context(|| format!("cannot write {}", out.display()))?;
    Ok(Box::new(io::BufWriter::new(file)))
}

/// As it was said, or as a line of JSON; what is no text, in base64.
fn show_record(out: &mut impl Write, as_json: bool, sequence: u64, text: &[u8]) -> anyhow::Result<()> {
    if !as_json {
        out.write_all(text)?;
        return Ok(out.write_all(b"\n")?);
    }
    let line = match std::str::from_utf8(text) {
        Ok(text) => json!({ "sequence": sequence, "text": text }),
        Err(_) => json!({ "sequence": sequence, "base64": BASE64.encode(text) }),
    };
    Ok(writeln!(out, "{line}")?)
}
