//! `ocmt cluster operators`.

use ocmt_proto::v1 as pb;
use rustls_pki_types::CertificateDer;

use super::{
    At,
    connect::{Operator, key, refused},
    remove::confirmed,
    seen::OperatorSeen,
};
use crate::{
    cli::{args::OperatorsCommand, show},
    pki::{OperatorFiles, OperatorKey},
};

pub(super) async fn run(at: &At, command: OperatorsCommand) -> anyhow::Result<()> {
    match command {
        OperatorsCommand::Ls(operator) => {
            let mut operators = Operator::connect(at, &operator).await?.operators();
            let (mut seen, mut page_token) = (Vec::new(), String::new());
            loop {
                let request = pb::ListOperatorsRequest { page_size: 100, page_token };
                let page = operators.list_operators(request).await.map_err(refused)?.into_inner();
                seen.extend(page.operators.into_iter().map(OperatorSeen::from));
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
        OperatorsCommand::Add { operator, name, out } => {
            let connection = Operator::connect(at, &operator).await?;
            let own = OperatorFiles::load(&operator.dir)?;
            let made = OperatorKey::create(&out)?;
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
