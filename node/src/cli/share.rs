//! `ocmt share`: what others may read of one's own.

mod asking;
pub(super) mod people;
mod sending;

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use anyhow::Context as _;
use data_encoding::HEXLOWER;
use ocmt_client::{
    Client, ClientError,
    program::{ProgramAccess, ProgramEnded},
    vault::Vault,
};
use ocmt_crypto::seal::{SealPublicKey, SealSecretKey};
use ocmt_types::{Digest32, VaultId};
use serde_json::json;
use zeroize::Zeroizing;

use super::{
    approve,
    args::{PassphraseArgs, ProgramCommand, ShareCommand},
    context::Context,
    group_vault, show,
};

pub(super) async fn run(context: &Context, command: ShareCommand) -> anyhow::Result<()> {
    match command {
        ShareCommand::Program(command) => program(context, command).await,
        other => people::run(context, other).await,
    }
}

async fn program(context: &Context, command: ProgramCommand) -> anyhow::Result<()> {
    match command {
        ProgramCommand::Key { out } => {
            let key = SealSecretKey::generate(&mut rand::rng());
            write(&out, HEXLOWER.encode(key.expose()).as_bytes())?;
            let public = HEXLOWER.encode(&key.public().0);
            context.out.value(&json!({ "program_key": public }), || public.clone())
        }
        ProgramCommand::Create(args) => {
            let client = context.client().await?;
            let vault = context.vault(&client, &args.passphrase).await?;
            let key = public_key(&args.program_key)?;
            let lifetime = args.lifetime.0;
            let access = vault.create_program_token(&args.name, &args.entry, key, lifetime).await?;
            tell_token(context, &access, &args.out)
        }
        ProgramCommand::Revoke { token, passphrase } => {
            let client = context.client().await?;
            // first the token, which ends at once; then the keys that the program may have kept
            let ended = client.revoke_program_token(token).await?;
            if !ended.rekey.is_empty() {
                fresh_keys(context, &client, &ended, &passphrase).await.context(
                    "the token has ended, but what it could read is not under fresh keys yet: \
                     run `ocmt vault rotate`, of a group's vault `ocmt group vault rotate`",
                )?;
            }
            context.out.value(&json!({ "rekeyed": ended.rekey.len() }), || {
                format!("the token has ended; {} under fresh keys", show::count(ended.rekey.len(), "secret"))
            })
        }
        ProgramCommand::Release { token } => {
            context.client().await?.release_program_token(token).await?;
            context.out.done("the program goes on")
        }
        ProgramCommand::Ask(args) => asking::ask(context, &args).await,
        ProgramCommand::List { program } => asking::list(context, &program).await,
        ProgramCommand::Asked { program } => asking::asked(context, &program).await,
        ProgramCommand::Read { program, key_file, name, entry } => {
            let access = access(&program)?;
            let key = secret_key(&key_file)?;
            let client = context.anonymous().await?.as_program(&access);
            let entry = match (name, entry) {
                (Some(name), _) => client.read_granted(&access, &key, &name).await?,
                (None, entry) => {
                    let object = approve::object(&entry.unwrap_or_default())?;
                    client.read_object(&access, &key, object).await?
                }
            };
            let mut stdout = io::stdout().lock();
            stdout.write_all(&entry.value)?;
            Ok(stdout.flush()?)
        }
    }
}

async fn fresh_keys(
    context: &Context,
    client: &Client,
    ended: &ProgramEnded,
    passphrase: &PassphraseArgs,
) -> anyhow::Result<()> {
    let mut own = context.vault(client, passphrase).await?;
    rekey(client, &mut own, ended.vault, &ended.rekey, passphrase).await
}

/// Writes objects under fresh keys where they are: in one's own vault, or in that of a group, which one's own opens.
async fn rekey(
    client: &Client,
    own: &mut Vault,
    of: VaultId,
    objects: &[Digest32],
    passphrase: &PassphraseArgs,
) -> anyhow::Result<()> {
    let groups = if of == own.id() { Vec::new() } else { client.list_groups().await? };
    match groups.iter().find(|group| group.vault == Some(of)) {
        None => own.rekey(objects).await?,
        Some(group) => {
            group_vault::open(own, group.id, passphrase).await?.secrets_mut().rekey(objects).await?;
        }
    }
    Ok(())
}

/// Writes a program's token to a new file, and says where it is.
pub(super) fn tell_token(context: &Context, access: &ProgramAccess, out: &Path) -> anyhow::Result<()> {
    write(out, &Zeroizing::new(serde_json::to_vec_pretty(access)?))?;
    let told = json!({ "token_id": access.token_id, "expires_at": access.expires_at, "file": out });
    context.out.value(&told, || {
        format!(
            "program token {} was written to {}, good until {}",
            access.token_id,
            out.display(),
            show::when(access.expires_at)
        )
    })
}

/// What a program was given.
pub(super) fn access(file: &Path) -> anyhow::Result<ProgramAccess> {
    let text = Zeroizing::new(fs::read(file).with_context(|| format!("cannot read {}", file.display()))?);
    serde_json::from_slice(&text).with_context(|| format!("{} is no file of a program token", file.display()))
}

fn secret_key(file: &Path) -> anyhow::Result<SealSecretKey> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let text = Zeroizing::new(text);
    let bytes = HEXLOWER.decode(text.trim().as_bytes()).map(Zeroizing::new);
    let bytes = bytes.with_context(|| format!("{} is no key of a program", file.display()))?;
    Ok(SealSecretKey::from_slice(&bytes)?)
}

pub(super) fn public_key(text: &str) -> anyhow::Result<SealPublicKey> {
    let bytes = HEXLOWER.decode(text.as_bytes()).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    let wrong = || ClientError::Usage("a program key is 64 hexadecimal digits".to_owned());
    Ok(SealPublicKey(bytes.ok_or_else(wrong)?))
}

/// A new file for its owner's eyes alone.
pub(super) fn write(out: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(out);
    let mut file = file.with_context(|| format!("cannot write {}", out.display()))?;
    Ok(file.write_all(bytes)?)
}
