//! `ocmt pairing`.

use std::io;

use anyhow::Context as _;
use ocmt_client::{
    ClientError,
    pairing::{Checked, Decision},
};
use serde_json::json;
use zeroize::Zeroizing;

use super::{args::PairingCommand, context::Context, output::note, share, show};

pub(super) async fn run(context: &Context, command: PairingCommand) -> anyhow::Result<()> {
    let client = match &command {
        PairingCommand::Check { program: Some(file), .. } => {
            context.anonymous().await?.as_program(&share::access(file)?)
        }
        _ => context.client().await?,
    };
    match command {
        PairingCommand::Check { container, channel, sender, group, name, program: _ } => {
            let said = client.check_sender(container, &channel, &sender, group.as_deref(), &name).await?;
            tell(context, &said)
        }
        PairingCommand::Pending => {
            let waiting = client.list_pending_pairings().await?;
            context.out.list(
                &waiting,
                &["PAIRING", "CONTAINER", "CHANNEL", "SENDER", "NAME", "ENDS"],
                |one| {
                    vec![
                        one.id.to_string(),
                        one.container.to_string(),
                        one.channel.clone(),
                        one.sender.clone(),
                        one.display_name.clone(),
                        show::when(one.expires_at),
                    ]
                },
            )
        }
        PairingCommand::Approve { pairing } => {
            note("The code that the sender shows:");
            let sender = client.approve_pairing(pairing, &code()?).await?;
            context.out.value(&sender, || format!("{} on {} is let through", sender.sender, sender.channel))
        }
        PairingCommand::Reject { pairing } => {
            client.reject_pairing(pairing).await?;
            context.out.done("the sender was refused")
        }
        PairingCommand::Senders => {
            let senders = client.list_paired_senders().await?;
            context.out.list(
                &senders,
                &["SENDER REF", "CONTAINER", "CHANNEL", "SENDER", "NAME", "SINCE"],
                |one| {
                    vec![
                        one.id.to_string(),
                        one.container.to_string(),
                        one.channel.clone(),
                        one.sender.clone(),
                        one.display_name.clone(),
                        show::at(one.approved_at),
                    ]
                },
            )
        }
        PairingCommand::Revoke { sender } => {
            client.revoke_paired_sender(sender).await?;
            context.out.done("the sender is let through no longer")
        }
    }
}

/// What to do with the message.
fn tell(context: &Context, said: &Checked) -> anyhow::Result<()> {
    let code = said.code.as_ref().map(|code| code.as_str());
    let all = json!({ "decision": said.decision, "code": code, "expires_at": said.expires_at });
    context.out.value(&all, || match (said.decision, code) {
        (Decision::Pair, Some(code)) => {
            format!("pair: answer the sender with {code}, good until {}", show::when(said.expires_at))
        }
        (Decision::Allow, _) => "allow".to_owned(),
        (Decision::Drop | Decision::Pair, _) => "drop".to_owned(),
    })
}

/// One line from standard input, without spaces and dashes that people put between.
fn code() -> anyhow::Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(String::with_capacity(64));
    io::stdin().read_line(&mut line).context("cannot read the code")?;
    let code: String = line.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
    let code = Zeroizing::new(code.to_uppercase());
    if code.len() == 8 {
        return Ok(code);
    }
    Err(ClientError::Usage("a pairing code has 8 characters".to_owned()).into())
}
