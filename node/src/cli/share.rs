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
use ocmt_crypto::{
    seal::{SealPublicKey, SealSecretKey},
    sign::SigningKey,
};
use ocmt_types::{Digest32, ProgramTokenId, ShareId, VaultId};
use serde_json::json;
use zeroize::Zeroizing;

use super::{
    approve,
    args::{PassphraseArgs, ProgramCommand, ShareCommand},
    context::Context,
    group_vault,
    output::note,
    show,
};

pub(super) async fn run(context: &Context, command: ShareCommand) -> anyhow::Result<()> {
    match command {
        ShareCommand::Program(command) => program(context, command).await,
        other => people::run(context, other).await,
    }
}

async fn program(context: &Context, command: ProgramCommand) -> anyhow::Result<()> {
    match command {
        ProgramCommand::Key { out } => make_keys(context, &out),
        ProgramCommand::Create(args) => {
            let client = context.client().await?;
            let vault = context.vault(&client, &args.passphrase).await?;
            let key = public_key(&args.program_key)?;
            let lifetime = args.lifetime.0;
            let access = vault.create_program_token(&args.name, &args.entry, key, lifetime).await?;
            tell_token(context, &access, &args.out)
        }
        ProgramCommand::Revoke { token, passphrase } => {
            let ended = end_token(context, token, &passphrase).await?;
            context.out.value(&json!({ "rekeyed": ended.rekey.len() }), || {
                format!("the token has ended; {} under fresh keys", show::count(ended.rekey.len(), "secret"))
            })
        }
        ProgramCommand::Release { token } => {
            context.client().await?.release_program_token(token).await?;
            context.out.done("the program goes on")
        }
        ProgramCommand::Ask(args) => asking::ask(context, &args).await,
        ProgramCommand::Write(args) => asking::write(context, &args).await,
        ProgramCommand::List { program } => asking::list(context, &program).await,
        ProgramCommand::Asked { program } => asking::asked(context, &program).await,
        ProgramCommand::Read { program, key_file, name, entry } => {
            let access = access(&program)?;
            let (key, _) = secret_keys(&key_file)?;
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

/// First the token, which ends at once; then what the program may write, and the keys that it may have kept.
async fn end_token(
    context: &Context,
    id: ProgramTokenId,
    passphrase: &PassphraseArgs,
) -> anyhow::Result<ProgramEnded> {
    let client = context.client().await?;
    // they are listed no more once it has ended, and that is not held up by a list
    let listed = client.list_capabilities(false).await.unwrap_or_default().into_iter();
    let of_token = listed.filter(|one| one.program.as_ref().is_some_and(|program| program.id == id));
    let approved: Vec<ShareId> = of_token.filter_map(|one| one.share).collect();
    let ended = client.revoke_program_token(id).await?;
    fresh_keys(context, &client, (id, &approved, &ended), passphrase).await.context(
        "the token has ended, but what it could read is not under fresh keys yet, or what it was approved to write \
         is in your vault's ledger still: run `ocmt vault rotate`, of a group's vault `ocmt group vault rotate`",
    )?;
    Ok(ended)
}

async fn fresh_keys(
    context: &Context,
    client: &Client,
    (token, approved, ended): (ProgramTokenId, &[ShareId], &ProgramEnded),
    passphrase: &PassphraseArgs,
) -> anyhow::Result<()> {
    let mut own = context.vault(client, passphrase).await?;
    own.forget_program(token, approved).await?;
    if ended.rekey.is_empty() {
        return Ok(());
    }
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

/// Makes a key that secrets are sealed to, and one that a program signs with.
fn make_keys(context: &Context, out: &Path) -> anyhow::Result<()> {
    let (key, signs) = (SealSecretKey::generate(&mut rand::rng()), SigningKey::generate(&mut rand::rng()));
    let mut both = Zeroizing::new(HEXLOWER.encode(key.expose()));
    both.push_str(&Zeroizing::new(HEXLOWER.encode(&*signs.expose())));
    write(out, both.as_bytes())?;
    let (public, signing) = (HEXLOWER.encode(&key.public().0), HEXLOWER.encode(&signs.verify_key().0));
    note(&format!(
        "It signs what it writes with {signing}: say this one with `ocmt approve give --program-sign-key`."
    ));
    context.out.value(&json!({ "program_key": public, "sign_key": signing }), || public.clone())
}

/// The private halves in a program's file; one from before programs wrote has no second.
fn secret_keys(file: &Path) -> anyhow::Result<(SealSecretKey, Option<SigningKey>)> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let text = Zeroizing::new(text);
    let bytes = HEXLOWER.decode(text.trim().as_bytes()).map(Zeroizing::new);
    let bytes = bytes.with_context(|| format!("{} is no key of a program", file.display()))?;
    let (seal, signs) = bytes.split_at_checked(32).unwrap_or((&bytes, &[]));
    let signs = if signs.is_empty() { None } else { Some(SigningKey::from_slice(signs)?) };
    Ok((SealSecretKey::from_slice(seal)?, signs))
}

/// The key that a program signs with.
fn signing_key(file: &Path) -> anyhow::Result<SigningKey> {
    let text = || {
        format!(
            "{} is from before programs wrote: make another with `ocmt share program key`, and a token for it",
            file.display()
        )
    };
    Ok(secret_keys(file)?.1.ok_or_else(|| ClientError::Usage(text()))?)
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
