//! `ocmt audit stream`.

use ocmt_client::audit::AuditStream;

use super::{args::AuditStreamCommand, context::Context, show};
use crate::secret_file;

pub(super) async fn run(context: &Context, command: AuditStreamCommand) -> anyhow::Result<()> {
    let client = context.client().await?;
    match command {
        AuditStreamCommand::Set { target_file, secret_file, from } => {
            let target = secret_file::read(target_file.as_deref().unwrap_or("".as_ref()))?;
            let secret = secret_file::read(secret_file.as_deref().unwrap_or("".as_ref()))?;
            let stream = client.set_audit_stream(target, secret, from).await?;
            context.out.value(&stream, || {
                let next = stream.sent + 1;
                format!("records go to {} from {next} on: see `ocmt audit stream show`", stream.target)
            })
        }
        AuditStreamCommand::Show => {
            let stream = client.audit_stream().await?;
            context.out.value(&stream, || describe(&stream))
        }
        AuditStreamCommand::Rm => {
            client.remove_audit_stream().await?;
            context.out.done("records go nowhere any more")
        }
    }
}

fn describe(stream: &AuditStream) -> String {
    let state = match stream.failing_since {
        None => "takes what comes".to_owned(),
        since => format!("takes nothing since {}: {}", show::at(since), stream.detail),
    };
    show::facts(&[
        ("to", stream.target.clone()),
        ("taken", format!("{} of {} records", stream.sent, stream.last)),
        ("last taken", show::at(stream.taken_at)),
        ("receiver", state),
    ])
}
