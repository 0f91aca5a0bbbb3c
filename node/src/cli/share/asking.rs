//! `ocmt share program ask`, `list`, `asked`: what a program does about what it was not handed.

use std::path::Path;

use ocmt_client::share::Permission;

use crate::cli::{approve, args::ProgramAskArgs, context::Context, show};

pub(super) async fn ask(context: &Context, args: &ProgramAskArgs) -> anyhow::Result<()> {
    let access = super::access(&args.program)?;
    let client = context.anonymous().await?.as_program(&access);
    let object = approve::object(&args.entry)?;
    let permissions: Vec<Permission> = args.wish.may.iter().map(|may| Permission::from(*may)).collect();
    let asked = client
        .request_capability(access.vault, object, &permissions, args.wish.lifetime.0, &args.wish.reason)
        .await?;
    context
        .out
        .value(&asked, || format!("asked as {}; it waits until {}", asked.id, show::when(asked.expires_at)))
}

pub(super) async fn list(context: &Context, program: &Path) -> anyhow::Result<()> {
    let access = super::access(program)?;
    let client = context.anonymous().await?.as_program(&access);
    let seen = client.list_granted(&access).await?;
    context
        .out
        .list(&seen, &["ENTRY", "VERSION"], |one| vec![one.object.to_string(), one.version.to_string()])
}

pub(super) async fn asked(context: &Context, program: &Path) -> anyhow::Result<()> {
    let access = super::access(program)?;
    let client = context.anonymous().await?.as_program(&access);
    let asked = client.list_capabilities(false).await?;
    context.out.list(&asked, &["REQUEST", "ENTRY", "STATE", "UNTIL"], |one| {
        vec![
            one.id.to_string(),
            one.object.to_string(),
            one.state.as_str().to_owned(),
            show::at(one.expires_at),
        ]
    })
}
