//! `ocmt mfa` and `ocmt step-up`: the second factor of an account.

use std::io::{self, IsTerminal as _};

use anyhow::Context as _;
use ocmt_client::{Client, ClientError, account::Me, auth::Purpose, factors::Code, factors::TotpOffer};
use ocmt_types::EnrollmentId;
use qrcode::{EcLevel, QrCode, render::unicode};
use serde_json::json;
use zeroize::Zeroizing;

use super::{
    account,
    args::{CodeArgs, MfaCommand},
    context::Context,
    output::{confirm as agrees, is_watched, note, print},
    secrets, show,
};

/// As [`Me::factors`] calls it.
const PASSKEY: &str = "passkey";
/// So often a mistyped code is asked for again.
const TRIES: usize = 3;

pub(super) async fn run(context: &Context, command: MfaCommand) -> anyhow::Result<()> {
    let client = context.client().await?;
    match command {
        MfaCommand::Enrol => enrol(context, &client).await.map(drop),
        MfaCommand::Confirm { enrollment, code } => {
            let digits = typed(&code, "Code that your authenticator shows now: ")?;
            confirmed(context, &client, enrollment, &digits).await.map(drop)
        }
        MfaCommand::Status => status(context, &client).await,
        MfaCommand::Codes => {
            let codes = client.new_backup_codes().await?;
            show_codes(context, &codes)
        }
        MfaCommand::Passkeys => passkeys(context, &client).await,
        MfaCommand::RemovePasskey { passkey } => {
            client.remove_passkey(passkey).await?;
            context.out.done("the passkey opens nothing any more")
        }
        MfaCommand::Remove => {
            client.remove_totp().await?;
            context.out.done("the authenticator is no factor of your account any more")
        }
    }
}

pub(super) async fn step_up(context: &Context, code: &CodeArgs) -> anyhow::Result<()> {
    let client = context.client().await?;
    let me = client.who_am_i().await?;
    let stepped = if me.factors.is_empty() {
        let asked = client.request_link(&me.email, Some(me.tenant), Purpose::StepUp).await?;
        note(&format!("A link was sent to {}. It works once, on this device. Paste it:", me.email));
        client.step_up_by_link(&asked, &account::link()?).await?
    } else {
        has_codes(&me.factors)?;
        ask(code, async |code| client.step_up(&code).await).await?
    };
    context.keep(&stepped, me.email)?;
    context.out.done("for some minutes you are asked for nothing more (`ocmt tenant get` says how many)")
}

/// Whether the account has something that can be typed.
pub(super) fn has_codes(factors: &[String]) -> anyhow::Result<()> {
    if factors.iter().all(|factor| factor == PASSKEY) {
        let why = "this account has a passkey and no code, and this program talks to no authenticator: show the passkey \
                   in a program that does, and make backup codes there";
        return Err(ClientError::Usage(why.to_owned()).into());
    }
    Ok(())
}

/// Asks for a code until one is right: a few times where somebody types, once where it comes from a file.
pub(super) async fn ask(
    args: &CodeArgs,
    show: impl AsyncFn(Code) -> Result<Client, ClientError>,
) -> anyhow::Result<Client> {
    let tries = if args.totp_code_file.is_none() && io::stdin().is_terminal() { TRIES } else { 1 };
    for left in (0..tries).rev() {
        let code = Code::of(&typed(args, "Code of your authenticator, or a backup code: ")?);
        match show(code).await {
            Err(error) if left > 0 && error.reason().as_deref() == Some("WRONG_CODE") => {
                note(&error.to_string());
            }
            other => return Ok(other?),
        }
    }
    Err(ClientError::Usage("no code came".to_owned()).into())
}

/// Sets up an authenticator. The client with the session's new token, if there was somebody to ask for a code.
pub(super) async fn enrol(context: &Context, client: &Client) -> anyhow::Result<Option<Client>> {
    let offer = client.begin_totp().await?;
    if context.out.json || !io::stdin().is_terminal() {
        show_offer(context, &offer)?;
        return Ok(None);
    }
    note(&qr(&offer.otpauth_uri)?);
    note(&format!(
        "Scan this with your authenticator app, or type this secret into it:\n\n    {}\n",
        offer.secret_base32.as_str()
    ));
    for left in (0..TRIES).rev() {
        let digits = prompt("Code that it shows now: ")?;
        match confirmed(context, client, offer.id, &digits).await {
            Err(error) if left > 0 && is_wrong_code(&error) => note(&error.to_string()),
            other => return other.map(Some),
        }
    }
    Ok(None)
}

async fn confirmed(
    context: &Context,
    client: &Client,
    enrollment: EnrollmentId,
    digits: &str,
) -> anyhow::Result<Client> {
    let (client, codes) = match client.confirm_totp(enrollment, digits).await {
        Err(error) if error.reason().as_deref() == Some("NOT_FOUND") => {
            let what = "this set-up has lapsed or was replaced: begin again with `ocmt mfa enrol`";
            return Err(anyhow::Error::new(error).context(what));
        }
        other => other?,
    };
    // the token before is dead: first of all the new one is kept
    let me = client.who_am_i().await?;
    context.keep(&client, me.email)?;
    show_codes(context, &codes)?;
    let others = client.list_sessions().await?.len().saturating_sub(1);
    if others > 0 && !context.out.json {
        note(&format!(
            "{others} other sessions go on that did not show it. End them with `ocmt sessions revoke-others`."
        ));
        if is_watched()
            && io::stdin().is_terminal()
            && agrees("End them now?", "ocmt sessions revoke-others")?
        {
            client.revoke_other_sessions(false).await?;
        }
    }
    Ok(client)
}

async fn status(context: &Context, client: &Client) -> anyhow::Result<()> {
    let me = client.who_am_i().await?;
    let shown = json!({ "factors": me.factors, "backup_codes_left": me.backup_codes_left });
    context.out.value(&shown, || {
        show::facts(&[
            ("second factor", described(&me)),
            ("backup codes left", me.backup_codes_left.to_string()),
        ])
    })
}

async fn passkeys(context: &Context, client: &Client) -> anyhow::Result<()> {
    let all = client.passkeys().await?;
    context.out.list(&all, &["PASSKEY", "NAME", "ADDED", "LAST USED"], |one| {
        vec![one.id.to_string(), one.name.clone(), show::at(one.created_at), show::at(one.last_used_at)]
    })
}

/// What an account has, in words.
pub(super) fn described(me: &Me) -> String {
    if me.factors.is_empty() {
        "none: `ocmt mfa enrol` sets one up".to_owned()
    } else {
        me.factors.join(", ")
    }
}

fn show_offer(context: &Context, offer: &TotpOffer) -> anyhow::Result<()> {
    let shown = json!({
        "enrollment": offer.id,
        "otpauth_uri": offer.otpauth_uri.as_str(),
        "secret_base32": offer.secret_base32.as_str(),
        "expires_at": offer.expires_at,
    });
    context.out.value(&shown, || {
        show::facts(&[
            ("for a QR code", offer.otpauth_uri.to_string()),
            ("secret", offer.secret_base32.to_string()),
            ("forgotten", show::when(offer.expires_at)),
        ])
    })?;
    note(&format!(
        "Next: `ocmt mfa confirm {} --totp-code-file FILE`, with the code that it shows.",
        offer.id
    ));
    Ok(())
}

fn show_codes(context: &Context, codes: &[Zeroizing<String>]) -> anyhow::Result<()> {
    if context.out.json {
        let codes: Vec<&str> = codes.iter().map(|code| code.as_str()).collect();
        return context.out.value(&json!({ "backup_codes": codes }), String::new);
    }
    note(
        "Your backup codes, shown this once. Each signs you in once when your authenticator is away; keep them on paper:",
    );
    for code in codes {
        print(code)?;
    }
    Ok(())
}

/// For a terminal with a dark background, two rows of it in a line; readers take it on a light one too.
fn qr(uri: &str) -> anyhow::Result<String> {
    let code = QrCode::with_error_correction_level(uri, EcLevel::L).context("cannot draw the QR code")?;
    let mut drawn = code.render::<unicode::Dense1x2>();
    Ok(drawn.dark_color(unicode::Dense1x2::Light).light_color(unicode::Dense1x2::Dark).build())
}

fn typed(args: &CodeArgs, question: &str) -> anyhow::Result<Zeroizing<String>> {
    match &args.totp_code_file {
        Some(file) => secrets::line(file),
        None => prompt(question),
    }
}

/// One line: typed, or the next of what is piped in.
fn prompt(question: &str) -> anyhow::Result<Zeroizing<String>> {
    note(question);
    let mut line = Zeroizing::new(String::with_capacity(256));
    io::stdin().read_line(&mut line).context("cannot read the code")?;
    if line.trim().is_empty() {
        return Err(ClientError::Usage("no code came: type it, or name a --totp-code-file".to_owned()).into());
    }
    Ok(line)
}

fn is_wrong_code(error: &anyhow::Error) -> bool {
    let refused = error.downcast_ref::<ClientError>().and_then(ClientError::reason);
    refused.as_deref() == Some("WRONG_CODE")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn nobody_is_asked_for_a_code_that_there_is_none_of() {
        let with = |factors: &[&str]| has_codes(&factors.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert!(with(&["passkey"]).is_err());
        for some in [&["authenticator"][..], &["passkey", "backup code"], &["authenticator", "passkey"]] {
            assert!(with(some).is_ok(), "{some:?}");
        }
    }

    #[test]
    fn the_longest_uri_fits_into_a_qr_code() {
        let drawn = qr(&"a".repeat(512)).unwrap();
        assert!(
            drawn.lines().count() > 20 && drawn.lines().all(|line| line.chars().count() < 100),
            "{drawn}"
        );
    }
}
