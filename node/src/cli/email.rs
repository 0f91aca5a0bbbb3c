//! `ocmt email`: another address for one's account.

use std::io;

use anyhow::Context as _;
use ocmt_client::{Client, email_change::EmailChange};
use zeroize::Zeroizing;

use super::{account, args::EmailCommand, context::Context, output::note, show};

pub(super) async fn run(context: &Context, command: EmailCommand) -> anyhow::Result<()> {
    let client = context.client().await?;
    match command {
        EmailCommand::Change { address } => change(context, &client, &address).await,
        EmailCommand::Confirm => {
            note("Paste the link that came to the new address:");
            confirm(context, &client, &account::link()?).await
        }
        EmailCommand::Show => {
            let under_way = client.email_change().await?;
            context.out.value(&under_way, || described(under_way.as_ref()))
        }
        EmailCommand::Cancel => {
            client.cancel_email_change().await?;
            context.out.done("the address stays as it is")
        }
    }
}

async fn change(context: &Context, client: &Client, address: &str) -> anyhow::Result<()> {
    client.request_email_change(address).await?;
    note(&format!(
        "A link was sent to {address}. It works once, in this session. Paste it, or press enter to show it later:"
    ));
    let mut line = Zeroizing::new(String::with_capacity(1024));
    io::stdin().read_line(&mut line).context("cannot read the link")?;
    if line.trim().is_empty() {
        return context.out.done("nothing has changed yet: show the link with `ocmt email confirm`");
    }
    confirm(context, client, &line).await
}

async fn confirm(context: &Context, client: &Client, link: &str) -> anyhow::Result<()> {
    let confirmed = client.confirm_email_change(link).await?;
    context.out.value(&confirmed, || described(Some(&confirmed)))
}

fn described(change: Option<&EmailChange>) -> String {
    match change {
        None => "your address is not being changed".to_owned(),
        Some(EmailChange { email, effective_at: None, .. }) => {
            format!("{email} was asked for and is not confirmed: `ocmt email confirm`")
        }
        Some(EmailChange { email, effective_at, .. }) => {
            format!(
                "{email} is your address from {} on; `ocmt email cancel` stops it",
                show::at(*effective_at)
            )
        }
    }
}
