//! `ocmt unlock-agent`: answers the wakes of locked containers on the user's own device, by the user's rules.
//!
//! The vault is opened here for each answer, and nowhere else. What no rule names is not answered, and each answer is in the
//! tenant's audit as the unlock that it is.

mod answers;
mod rules;

use std::{fs::File, io::Read as _, os::unix::fs::MetadataExt as _, path::Path, time::Duration};

use anyhow::{Context as _, bail};
use ocmt_client::{
    Client, ClientError,
    container::{State, UnlockRequest, UnlockWatch},
};
use ocmt_types::{Clock as _, SystemClock};
use serde_json::json;

use self::{answers::Answers, rules::Rules};
use super::{
    args::UnlockAgentArgs,
    context::Context,
    output::{note, print},
    show,
};

/// Bytes of a file of rules.
const MOST: u64 = 256 << 10;
/// Answers are remembered for so long at the least: a rule may be made stricter.
const REMEMBERED: Duration = Duration::from_secs(31 * 24 * 3600);

/// Pauses before watching anew, up to the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// A node that does not answer whether a container waits still is asked again after this.
const ASK_AGAIN: Duration = Duration::from_secs(2);

pub(super) async fn run(context: &Context, args: UnlockAgentArgs) -> anyhow::Result<()> {
    let rules = read(&args.rules)?;
    let again = args.passphrase.passphrase_file.is_some()
        || args.passphrase.backup_key_file.as_ref().is_some_and(|file| file.as_os_str() != "-")
        || args.passphrase.hardware;
    if !again {
        let why =
            "the vault is opened for each answer: name --passphrase-file, --backup-key-file or --hardware";
        return Err(ClientError::Usage(why.to_owned()).into());
    }
    let mut answers = Answers::take(&args.rules)?;
    let client = context.client().await?;
    // wrong, and it is said now and not at the first wake
    drop(context.vault(&client, &args.passphrase).await?);
    let (mut pause, longest) = PAUSES;
    loop {
        let error = match client.watch_unlock_requests("").await {
            Ok(mut watch) => {
                note("answering wakes; ^C ends it");
                pause = PAUSES.0;
                follow(context, &args, &rules, &mut answers, &client, &mut watch).await?
            }
            Err(error) => error,
        };
        // a node that is away comes back, and what was missed is of no use any more; a session that ended does not
        if !error.is_retryable() && error.reason().as_deref() != Some("OUT_OF_RANGE") {
            return Err(error.into());
        }
        note(&format!("{error}; watching anew in {} s", pause.as_secs()));
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(longest);
    }
}

/// Answers what comes, until the watch ends.
async fn follow(
    context: &Context,
    args: &UnlockAgentArgs,
    rules: &Rules,
    answers: &mut Answers,
    client: &Client,
    watch: &mut UnlockWatch,
) -> anyhow::Result<ClientError> {
    loop {
        let request = match watch.next().await {
            Ok(request) => request,
            Err(error) => return Ok(error),
        };
        match waits(client, &request).await {
            Ok(true) => answer(context, args, rules, answers, client, &request).await?,
            // somebody unlocked it while this one came, or it sleeps again
            Ok(false) => tell(context, &request, "not answered", "it waits no longer")?,
            Err(error) => tell(context, &request, "not answered", &error.to_string())?,
        }
    }
}

/// Whether the container waits still; asked until it would not any more.
async fn waits(client: &Client, request: &UnlockRequest) -> Result<bool, ClientError> {
    loop {
        match client.container(request.container).await {
            Ok(container) => return Ok(container.locked && container.state == State::Running),
            Err(error) if error.is_retryable() && request.wait_until > Some(SystemClock.now()) => {}
            Err(error) => return Err(error),
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
}

/// The rules, from a file that nobody but its owner can change.
fn read(path: &Path) -> anyhow::Result<Rules> {
    let cannot = || format!("cannot read {}", path.display());
    // one file is looked at and read, whatever has its name meanwhile
    let mut file = File::open(path).with_context(cannot)?;
    let about = file.metadata().with_context(cannot)?;
    if about.mode() & 0o022 != 0 || about.uid() != rustix::process::getuid().as_raw() {
        bail!(
            "{} must be yours, and writable by nobody else: whoever writes it decides what is unlocked",
            path.display()
        );
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if folder.metadata().with_context(cannot)?.mode() & 0o022 != 0 {
        bail!("the folder of {} must be writable by nobody else", path.display());
    }
    if about.len() > MOST {
        bail!("{} is longer than 256 KiB", path.display());
    }
    let mut text = String::new();
    file.read_to_string(&mut text).with_context(cannot)?;
    Rules::parse(&text).map_err(|why| ClientError::Usage(format!("{}: {why}", path.display())).into())
}

/// Answers one wake, or says why not. What the node refuses ends nothing: the next wake is another.
async fn answer(
    context: &Context,
    args: &UnlockAgentArgs,
    rules: &Rules,
    answers: &mut Answers,
    client: &Client,
    request: &UnlockRequest,
) -> anyhow::Result<()> {
    let now = SystemClock.now();
    let rule = match rules.decide(request, now, answers.of(request.container)) {
        Ok(rule) => rule,
        Err(why) => return tell(context, request, "not answered", why.as_str()),
    };
    // as it is now: secrets, keys and pins may be others than at the last wake
    let mut vault = match context.vault(client, &args.passphrase).await {
        Ok(vault) => vault,
        Err(error) => return tell(context, request, "failed", &error.to_string()),
    };
    // the first host of a container is for a person to believe, not for whoever answers first
    if vault.pinned_host(request.container).is_none() {
        return tell(
            context,
            request,
            "not answered",
            "its host is not known to the vault: unlock it once by hand",
        );
    }
    // before it is given: whatever happens to it, it counts
    answers.give(request.container, now, rules.longest().max(REMEMBERED))?;
    match vault.unlock_container(request.container, &rule.mapping, rule.lease, false).await {
        Ok(cell) => {
            let until = format!("until {}", show::when(Some(cell.unlocked_until)));
            tell(context, request, "unlocked", &until)
        }
        Err(error) => tell(context, request, "failed", &error.to_string()),
    }
}

fn tell(context: &Context, request: &UnlockRequest, what: &str, why: &str) -> anyhow::Result<()> {
    let (container, cause) = (request.container, request.cause);
    if context.out.json {
        let line = json!({ "container": container, "cause": cause, "woken_at": request.woken_at, "answer": what, "why": why });
        return print(&line.to_string());
    }
    print(&format!("{}  {container} woken by {cause}: {what}, {why}", show::when(request.woken_at)))
}
