//! `ocmt login`, `logout`, `whoami`, `sessions`.

use std::io;

use anyhow::Context as _;
use ocmt_client::{Client, ClientError, account::Me, auth::Purpose};
use zeroize::Zeroizing;

use super::{
    args::{CodeArgs, LoginArgs, SessionsCommand},
    context::Context,
    mfa,
    output::{note, waiting},
    show, sso,
};

pub(super) async fn login(context: &Context, args: LoginArgs) -> anyhow::Result<()> {
    let client = context.anonymous().await?;
    let code = args.code.clone();
    let signed_in = match (&args.email, &args.tenant_name) {
        (None, _) if args.sso => sso::sign_in(&client, context.tenant(), &device(), link).await?,
        (None, _) => {
            note("Paste the link of your invitation:");
            client.accept_invite(&link()?, &device()).await?
        }
        (Some(email), Some(name)) => {
            let pending = client.sign_up(email, name).await?;
            note(&format!(
                "A link was sent to {email}. It finishes your sign-up, once, on this device. Paste it:"
            ));
            pending.finish(&link()?, &device()).await?
        }
        (Some(email), None) => {
            let purpose = if args.recovery { Purpose::Recovery } else { Purpose::SignIn };
            let pending = client.request_link(email, context.tenant(), purpose).await?;
            note(&format!(
                "If {email} has an account, a link was sent there. It works once, on this device. Paste it:"
            ));
            pending.finish(&link()?, &device()).await?
        }
    };
    let signed_in = match signed_in.who_am_i().await? {
        me if me.is_pending() => second_factor(context, signed_in, &me, &code).await?,
        _ => signed_in,
    };
    welcome(context, &signed_in, args).await
}

/// Finishes a sign-in whose second factor is due.
async fn second_factor(
    context: &Context,
    client: Client,
    me: &Me,
    code: &CodeArgs,
) -> anyhow::Result<Client> {
    if !me.factors.is_empty() {
        mfa::has_codes(&me.factors)?;
        return mfa::ask(code, async |code| client.complete_mfa(&code).await).await;
    }
    // good for setting one up, and for that it has to be kept
    context.keep(&client, me.email.clone())?;
    note("Your tenant wants a second factor, and your account has none yet.");
    match mfa::enrol(context, &client).await? {
        Some(client) => Ok(client),
        None => Ok(client),
    }
}

async fn welcome(context: &Context, client: &Client, args: LoginArgs) -> anyhow::Result<()> {
    let me = client.who_am_i().await?;
    context.keep(client, me.email.clone())?;
    context.out.value(&me, || format!("signed in as {} in {}", me.email, me.tenant_name))?;
    if context.out.json {
        return Ok(());
    }
    if me.is_pending() {
        note("Signed in as far as setting up a second factor: finish it with `ocmt mfa confirm`.");
    } else if args.recovery {
        note("This session is for recovering your vault and for nothing else. Next: `ocmt recovery open`.");
    } else if args.sign_up || args.invited {
        note("Next: `ocmt vault create` makes the vault that only you can open.");
    }
    Ok(())
}

pub(super) async fn logout(context: &Context) -> anyhow::Result<()> {
    let session = context.session()?;
    let ended = context.client().await?.sign_out().await;
    match ended {
        // a session that has ended already is signed out too
        Err(error) if error.code() != Some(tonic::Code::Unauthenticated) => return Err(error.into()),
        Ok(()) | Err(_) => {}
    }
    context.state.forget_session(&session.endpoint, session.user)?;
    context.out.done(&format!("signed out {}", session.email))
}

pub(super) async fn whoami(context: &Context) -> anyhow::Result<()> {
    let me = context.client().await?.who_am_i().await?;
    context.out.value(&me, || {
        let session = me.session.as_ref();
        if let Some(key) = &me.api_key {
            return show::facts(&[
                ("address", me.email.clone()),
                ("user", me.user.to_string()),
                ("role", me.role.clone()),
                ("tenant", format!("{} ({})", me.tenant_name, me.tenant)),
                ("API key", format!("{} ({})", key.name, key.id)),
                ("scopes", key.scopes.join(" ")),
                ("ends", show::at(key.expires_at)),
            ]);
        }
        show::facts(&[
            ("address", me.email.clone()),
            ("user", me.user.to_string()),
            ("role", me.role.clone()),
            ("tenant", format!("{} ({})", me.tenant_name, me.tenant)),
            ("session", session.map(|session| session.kind.clone()).unwrap_or_default()),
            ("second factor", mfa::described(&me)),
            ("ends", session.map(|session| show::when(session.expires_at)).unwrap_or_default()),
            (
                "ends if unused",
                session.map(|session| show::when(session.idle_expires_at)).unwrap_or_default(),
            ),
        ])
    })
}

pub(super) async fn sessions(context: &Context, command: SessionsCommand) -> anyhow::Result<()> {
    let client = context.client().await?;
    match command {
        SessionsCommand::Ls => {
            let sessions = client.list_sessions().await?;
            context.out.list(
                &sessions,
                &["SESSION", "KIND", "DEVICE", "PLACE", "LAST USED", "ENDS", ""],
                |one| {
                    vec![
                        one.id.to_string(),
                        one.kind.clone(),
                        one.device.clone(),
                        one.address.clone(),
                        show::at(one.last_used_at),
                        show::at(one.expires_at),
                        if one.current { "this one".to_owned() } else { String::new() },
                    ]
                },
            )
        }
        SessionsCommand::Revoke { session } => {
            client.revoke_session(session).await?;
            context.out.done("the session has ended")
        }
        SessionsCommand::RevokeOthers { api_keys } => {
            let (ended, keys) = {
                let _waiting = waiting("ending the other sessions");
                client.revoke_other_sessions(api_keys).await?
            };
            context.out.value(&serde_json::json!({ "ended": ended, "api_keys": keys }), || {
                format!("{ended} sessions and {keys} API keys were ended")
            })
        }
    }
}

/// One line from standard input: typed, or piped in.
pub(super) fn link() -> anyhow::Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(String::with_capacity(1024));
    io::stdin().read_line(&mut line).context("cannot read the link")?;
    if line.trim().is_empty() {
        return Err(ClientError::Usage("no link came: start again and paste it".to_owned()).into());
    }
    Ok(line)
}

/// What this device calls itself in the list of sessions.
pub(super) fn device() -> String {
    let name = rustix::system::uname();
    let host = name.nodename().to_string_lossy();
    let clean: String = host.chars().filter(|c| !c.is_control()).take(80).collect();
    format!("ocmt on {clean}").trim().to_owned()
}
