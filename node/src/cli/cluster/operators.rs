//! `ocmt cluster operators`.

use std::path::Path;

use anyhow::Context as _;
use ocmt_client::pages::Pages;
use ocmt_proto::v1 as pb;
use ocmt_types::{IdGen, OperatorId, RandomIds, SystemClock};
use rustix::fs::Access;
use rustls_pki_types::CertificateDer;

use super::{
    At,
    connect::{Operator, key, refused},
    remove::confirmed,
    seen::OperatorSeen,
};
use crate::{
    cli::{args::OperatorsCommand, show},
    pki::{OperatorFiles, OperatorKey, first_operator_of, later_first_operator, private_dir},
};

pub(super) async fn run(at: &At, command: OperatorsCommand) -> anyhow::Result<()> {
    match command {
        OperatorsCommand::Ls(operator) => {
            let mut operators = Operator::connect(at, &operator).await?.operators();
            let (mut seen, mut page_token) = (Vec::new(), String::new());
            let mut pages = Pages::default();
            loop {
                let request = pb::ListOperatorsRequest { page_size: 100, page_token };
                let page = operators.list_operators(request).await.map_err(refused)?.into_inner();
                seen.extend(page.operators.into_iter().map(OperatorSeen::from));
                pages.turn(&page.next_page_token)?;
                if page.next_page_token.is_empty() {
                    break;
                }
                page_token = page.next_page_token;
            }
            at.out.list(&seen, &["OPERATOR", "NAME", "GOOD UNTIL", "REVOKED"], |operator| {
                let revoked = if operator.revoked { "yes" } else { "no" };
                vec![
                    operator.operator.clone(),
                    operator.name.clone(),
                    show::at(operator.expires_at),
                    revoked.to_owned(),
                ]
            })
        }
        OperatorsCommand::Add { operator, name, out, browser } => {
            let connection = Operator::connect(at, &operator).await?;
            let own = OperatorFiles::load(&operator.dir)?;
            let made =
                if browser { OperatorKey::create_for_browser(&out)? } else { OperatorKey::create(&out)? };
            let request = pb::CreateOperatorRequest {
                name,
                certificate_request_der: made.request()?.into(),
                idempotency_key: key(),
            };
            let answer = connection.operators().create_operator(request).await.map_err(refused)?.into_inner();
            let chain: Vec<_> =
                answer.certificate_chain_der.iter().map(|der| CertificateDer::from(der.to_vec())).collect();
            made.finish(&chain, &own.ca)?;
            let seen = OperatorSeen::from(answer.operator.unwrap_or_default());
            at.out.value(&seen, || format!("operator {} ({}): {}", seen.name, seen.operator, out.display()))
        }
        OperatorsCommand::First { data_dir, out } => first(at, &data_dir, &out),
        OperatorsCommand::Revoke { operator, ended, yes } => {
            let connection = Operator::connect(at, &operator).await?;
            let act = pb::DestructiveAct::RevokeOperator;
            let Some(confirmation_token) = confirmed(&connection, act, &ended, yes).await? else {
                return Ok(());
            };
            let request = pb::RevokeOperatorRequest {
                operator_id: ended.to_string(),
                confirmation_token,
                idempotency_key: key(),
            };
            connection.operators().revoke_operator(request).await.map_err(refused)?;
            at.out.done(&format!("operator {ended} is refused from now on"))
        }
    }
}

/// Without a node: whoever holds the authority's key makes operators.
fn first(at: &At, data_dir: &Path, out: &Path) -> anyhow::Result<()> {
    let ids: &dyn IdGen = &RandomIds;
    let id: OperatorId = ids.id();
    let folder = data_dir.join("pki");
    if first_operator_of(&folder)?.is_some() {
        anyhow::bail!(
            "{} has had its first operator: operators make further ones, with `ocmt cluster operators add`",
            folder.display()
        );
    }
    room_for_operator(out)?;
    later_first_operator(&folder, out, id, &SystemClock)?;
    at.out.value(&serde_json::json!({ "operator": id, "operator_dir": out }), || {
        format!("operator {id}: {}\nThe node lists it at its next start.", out.display())
    })
}

/// Makes the folder for an operator's files, and refuses one that has some.
pub(super) fn room_for_operator(out: &Path) -> anyhow::Result<()> {
    if out.join("operator.key").exists() {
        anyhow::bail!("{} has the files of an operator already: name another folder", out.display());
    }
    private_dir(out)?;
    rustix::fs::access(out, Access::WRITE_OK | Access::EXEC_OK)
        .with_context(|| format!("cannot write into {}", out.display()))
}
