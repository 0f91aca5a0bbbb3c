//! `ocmt alert`.

use std::path::{Path, PathBuf};

use anyhow::bail;
use ocmt_client::{
    Client,
    alert::{Channel, ChannelWanted},
};
use ocmt_proto::v1 as pb;
use ocmt_types::Secret;

use super::{
    args::{AlertCommand, AlertKindArg, AlertPutArgs, AlertSeverityArg},
    context::Context,
    show,
};
use crate::secret_file;

pub(super) async fn run(context: &Context, command: AlertCommand) -> anyhow::Result<()> {
    let client = context.client().await?;
    match command {
        AlertCommand::Ls => {
            let channels = client.list_channels().await?;
            let columns = ["CHANNEL", "NAME", "KIND", "TO", "FROM", "ACTIONS", "TRIED"];
            context.out.list(&channels, &columns, row)
        }
        AlertCommand::Put(args) => {
            let channel = put(&client, args).await?;
            context.out.value(&channel, || {
                format!(
                    "alerts go to {} ({}): try it with `ocmt alert test {}`",
                    channel.name, channel.target, channel.id
                )
            })
        }
        AlertCommand::Test { channel } => match client.test_channel(channel).await? {
            None => context.out.done("the channel took it"),
            Some(why) => bail!("the channel did not take it: {why}"),
        },
        AlertCommand::Rm { channel } => {
            client.delete_channel(channel).await?;
            context.out.done("the channel is deleted")
        }
    }
}

async fn put(client: &Client, args: AlertPutArgs) -> anyhow::Result<Channel> {
    if args.target.is_some() && !matches!(args.kind, AlertKindArg::Email) {
        bail!(
            "a URL that works for whoever has it is a secret, and stands in no command line: --target-file FILE"
        );
    }
    let target = match args.target {
        Some(target) => Some(Secret::new(target)),
        None => read(args.target_file.as_ref())?,
    };
    let kind = match args.kind {
        AlertKindArg::Email => pb::AlertChannelKind::Email,
        AlertKindArg::Slack => pb::AlertChannelKind::Slack,
        AlertKindArg::Discord => pb::AlertChannelKind::Discord,
        AlertKindArg::Pagerduty => pb::AlertChannelKind::Pagerduty,
        AlertKindArg::Webhook => pb::AlertChannelKind::Webhook,
    };
    let min_severity = match args.min_severity {
        AlertSeverityArg::Info => pb::AlertSeverity::Info,
        AlertSeverityArg::Warning => pb::AlertSeverity::Warning,
        AlertSeverityArg::Critical => pb::AlertSeverity::Critical,
    };
    let secret = read(args.secret_file.as_ref())?;
    let (channel, name, actions) = (args.channel, args.name, args.action);
    Ok(client
        .put_channel(ChannelWanted { channel, kind, name, target, secret, min_severity, actions })
        .await?)
}

fn read(file: Option<&PathBuf>) -> anyhow::Result<Option<Secret<String>>> {
    Ok(secret_file::read(file.map_or(Path::new(""), PathBuf::as_path))?)
}

fn row(channel: &Channel) -> Vec<String> {
    let tried = if channel.verified_at.is_some() { show::at(channel.verified_at) } else { "no".to_owned() };
    vec![
        channel.id.to_string(),
        channel.name.clone(),
        channel.kind.to_owned(),
        channel.target.clone(),
        channel.min_severity.to_owned(),
        channel.actions.join(" "),
        tried,
    ]
}
