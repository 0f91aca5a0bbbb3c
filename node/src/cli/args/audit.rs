//! Arguments of the audit and of images.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use ocmt_crypto::audit::checkpoint::NoteKey;
use ocmt_types::Timestamp;

/// `ocmt audit`
#[derive(Subcommand)]
pub enum AuditCommand {
    /// Print records as they are committed, until you end it
    #[command(
        after_help = "Examples:\n  ocmt audit tail --outcome refused\n  ocmt audit tail --json | my-collector"
    )]
    Tail {
        /// Which records
        #[command(flatten)]
        wanted: AuditWanted,
        /// Go on behind this record: the token that `--json` prints with each
        #[arg(long, value_name = "TOKEN", default_value = "")]
        resume: String,
    },
    /// Print records, newest last
    #[command(
        after_help = "Examples:\n  ocmt audit query --limit 20 --action container\n  ocmt audit query --since 2026-11-01 --outcome refused"
    )]
    Query {
        /// At most so many
        #[arg(long, default_value_t = 100)]
        limit: usize,
        /// Which records
        #[command(flatten)]
        wanted: AuditWanted,
        /// Not before this day or time, as 2026-11-29 or 2026-11-29T08:00Z
        #[arg(long, value_name = "TIME", value_parser = time)]
        since: Option<Timestamp>,
        /// Before this day or time
        #[arg(long, value_name = "TIME", value_parser = time)]
        until: Option<Timestamp>,
    },
    /// Write all records: as JSON lines, checked, with the signed head at the end; as CSV or syslog to read
    #[command(
        after_help = "Examples:\n  ocmt audit export --out audit.jsonl\n  ocmt audit export --format csv --out audit.csv\n  ocmt audit export --format syslog --from 4711"
    )]
    Export {
        /// Where to; standard output without it
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// In which form; JSON lines alone can be verified
        #[arg(long, value_enum, default_value_t = AuditFormat::Jsonl)]
        format: AuditFormat,
        /// The first record; only a file from the first of all can be verified
        #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true)]
        from: u64,
        /// The last record
        #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true)]
        to: u64,
    },
    /// Print the signed head of the audit, to be kept where no node can change it
    #[command(after_help = "Example:\n  ocmt audit checkpoint >> /media/elsewhere/heads.jsonl")]
    Checkpoint,
    /// Post all records to a webhook, as they are committed
    #[command(subcommand)]
    Stream(AuditStreamCommand),
    /// How long records are kept: for good if nothing is said
    #[command(subcommand)]
    Retention(AuditRetentionCommand),
    /// Check an export offline, or the tenant's audit as the node shows it; names the first bad record
    #[command(
        after_help = "Examples:\n  ocmt audit verify audit.jsonl --checkpoint heads.jsonl    needs no node\n  ocmt audit verify                                         asks the node\n\nA chain whose end was cut, or which was computed anew, is whole: only a signed head that was kept elsewhere shows it. Heads are believed if a node of the cluster signed them (--ca, or the authority of your session), or one of --key."
    )]
    Verify {
        /// An export of `ocmt audit export`
        file: Option<PathBuf>,
        /// Fail unless the audit reaches the head printed earlier
        #[arg(long, value_name = "NUMBER:HASH")]
        head: Option<String>,
        /// Heads that were kept elsewhere (`ocmt audit checkpoint`), or one signed note; may be given more than once
        #[arg(long, value_name = "FILE")]
        checkpoint: Vec<PathBuf>,
        /// A key that may have signed heads, as `name+id+key`; may be given more than once
        #[arg(long, value_name = "KEY", value_parser = key)]
        key: Vec<NoteKey>,
    },
}

/// `ocmt audit stream`
#[derive(Subcommand)]
pub enum AuditStreamCommand {
    /// Say where records go: JSON lines in their order, signed with HMAC-SHA256, each at least once
    #[command(
        after_help = "Examples:\n  ocmt audit stream set --target-file siem.url --secret-file siem.key\n  ocmt audit stream set --target-file siem.url --secret-file siem.key --from 1    all that there are\n\nWhat is not given stays as it is; without --from the stream goes on where it was, a new one begins now.\nOf an audit that was pruned --from is behind the cut. What a retention prunes before it was taken is not sent: see `ocmt audit stream show`."
    )]
    Set {
        /// A file with the https URL that nobody else may read
        #[arg(long, value_name = "FILE")]
        target_file: Option<PathBuf>,
        /// A file with the key that posts are signed with, 16 bytes at least
        #[arg(long, value_name = "FILE")]
        secret_file: Option<PathBuf>,
        /// The first record that is to go there
        #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true)]
        from: u64,
    },
    /// Show where records go, and how far that has come
    #[command(after_help = "Example:\n  ocmt audit stream show --json")]
    Show,
    /// Post no more records
    #[command(after_help = "Example:\n  ocmt audit stream rm")]
    Rm,
}

/// `ocmt audit retention`
#[derive(Subcommand)]
pub enum AuditRetentionCommand {
    /// Say how long; what is older is pruned from a week later on, and can be proven still
    #[command(
        after_help = "Examples:\n  ocmt audit retention set --days 400\n  ocmt audit retention set --for-good"
    )]
    Set {
        /// So many days, 90 at the least
        #[arg(long, value_name = "N", required_unless_present = "for_good")]
        days: Option<u32>,
        /// Prune nothing
        #[arg(long, conflicts_with = "days")]
        for_good: bool,
    },
    /// Show how long, and what was pruned
    #[command(after_help = "Example:\n  ocmt audit retention show --json")]
    Show,
}

/// Which records.
#[derive(Args)]
pub struct AuditWanted {
    /// Only those whose action contains this
    #[arg(long, value_name = "TEXT")]
    pub action: Option<String>,
    /// Only what this user, API key, container or operator did
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    pub who: String,
    /// Only what was done to this, as it is printed
    #[arg(long, value_name = "OBJECT", default_value = "", hide_default_value = true)]
    pub on: String,
    /// Only what ended so
    #[arg(long, value_enum)]
    pub outcome: Option<AuditOutcome>,
}

/// How an act ended.
#[derive(Clone, Copy, ValueEnum)]
pub enum AuditOutcome {
    /// Done
    Ok,
    /// Refused for want of authority
    Refused,
    /// Allowed, and failed
    Failed,
}

/// Form of an export.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AuditFormat {
    /// JSON lines
    Jsonl,
    /// Comma-separated, for spreadsheets
    Csv,
    /// RFC 5424
    Syslog,
}

fn key(text: &str) -> Result<NoteKey, String> {
    NoteKey::parse(text).map_err(|_| "is no key of a note: name+id+key".to_owned())
}

fn time(text: &str) -> Result<Timestamp, String> {
    let at = text.parse::<jiff::Timestamp>().map(jiff::Timestamp::as_millisecond).or_else(|_| {
        let day: jiff::civil::Date = text.parse()?;
        Ok::<_, jiff::Error>(day.to_zoned(jiff::tz::TimeZone::UTC)?.timestamp().as_millisecond())
    });
    at.map(Timestamp).map_err(|_| "is no time: write 2026-11-29 or 2026-11-29T08:00Z".to_owned())
}

/// `ocmt image`
#[derive(Subcommand)]
pub enum ImageCommand {
    /// Build an image from the static cell and programs of yours, offline
    Build(ImageBuildArgs),
}

/// `ocmt image build`
#[derive(Args)]
#[command(
    after_help = "Example:\n  ocmt image build --name my-agent:1 --add ./agent=/bin/agent\n\nThe cell is the image's first program; name yours when you make a container:\n  ocmt container create --image sha256:… -- /bin/agent"
)]
pub struct ImageBuildArgs {
    /// Name of the image
    #[arg(long, default_value = "ocmt-cell:latest")]
    pub name: String,
    /// The static cell; by default beside this program
    #[arg(long, value_name = "FILE")]
    pub cell: Option<PathBuf>,
    /// A file and its place in the image, FILE=/PATH; may be given more than once
    #[arg(long, value_name = "FILE=/PATH")]
    pub add: Vec<String>,
    /// The engine to load it into
    #[arg(long, default_value = "unix:///var/run/docker.sock", env = "DOCKER_HOST")]
    pub docker_host: String,
}
