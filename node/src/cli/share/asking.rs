//! `ocmt share program ask`, `list`, `asked`, `write`: what a program does about what it was not handed.

use std::path::Path;

use ocmt_client::{ClientError, share::Permission};
use serde_json::json;

use crate::cli::{
    approve,
    args::{ProgramAskArgs, ProgramWriteArgs},
    context::Context,
    secrets, show,
};

pub(super) async fn ask(context: &Context, args: &ProgramAskArgs) -> anyhow::Result<()> {
    let access = super::access(&args.program)?;
    let client = context.anonymous().await?.as_program(&access);
    let object = approve::object(&args.entry)?;
    let permissions: Vec<Permission> = args.wish.may.iter().map(|may| Permission::from(*may)).collect();
    let signs = match (&args.key_file, permissions.contains(&Permission::Write)) {
        (Some(file), true) => Some(super::signing_key(file)?.verify_key()),
        (None, true) => {
            let text = "to ask to write takes --key-file: what is written is signed with it".to_owned();
            return Err(ClientError::Usage(text).into());
        }
        (_, false) => None,
    };
    let wish = (args.wish.lifetime.0, args.wish.reason.as_str());
    let asked = client.request_signed(access.vault, object, &permissions, wish, signs).await?;
    context
        .out
        .value(&asked, || format!("asked as {}; it waits until {}", asked.id, show::when(asked.expires_at)))
}

pub(super) async fn write(context: &Context, args: &ProgramWriteArgs) -> anyhow::Result<()> {
    let (access, signs) = (super::access(&args.program)?, super::signing_key(&args.key_file)?);
    let client = context.anonymous().await?.as_program(&access);
    let object = approve::object(&args.entry)?;
    let value = secrets::value(args.value_file.as_deref())?;
    let id = client.write_granted(&access, &signs, object, value).await?;
    context.out.value(&json!({ "write": id, "waits": true }), || {
        "it waits for its user's device, and counts once `ocmt vault inbox --file` has filed it there"
            .to_owned()
    })
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
