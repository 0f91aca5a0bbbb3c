//! `ocmt audit retention`.

use std::time::Duration;

use ocmt_client::audit::AuditRetention;

use super::{args::AuditRetentionCommand, context::Context, show};

const DAY: u64 = 24 * 3600;

pub(super) async fn run(context: &Context, command: AuditRetentionCommand) -> anyhow::Result<()> {
    let client = context.client().await?;
    let retention = match command {
        AuditRetentionCommand::Set { days, .. } => {
            let keep = days.map(|days| Duration::from_secs(u64::from(days) * DAY));
            client.set_audit_retention(keep).await?
        }
        AuditRetentionCommand::Show => client.audit_retention().await?,
    };
    context.out.value(&retention, || describe(&retention))
}

fn describe(retention: &AuditRetention) -> String {
    let kept = retention.keep_ms.map_or_else(
        || "for good".to_owned(),
        |kept| format!("{} days", Duration::from_millis(kept).as_secs() / DAY),
    );
    let pruned = match retention.pruned {
        0 => "nothing".to_owned(),
        last => format!("records 1 to {last}, the last of them {}", show::at(retention.pruned_at)),
    };
    let mut facts = vec![("kept", kept), ("pruned", pruned)];
    if retention.prunes_from.is_some() {
        facts.push(("prunes from", show::at(retention.prunes_from)));
    }
    show::facts(&facts)
}
