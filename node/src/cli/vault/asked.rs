//! `ocmt vault slots asked` and `refuse`: who wants to open the vault with a backup key or a hardware token.

use ocmt_client::{ClientError, vault::SlotRequest};
use ocmt_types::{Clock as _, SystemClock, Timestamp};

use super::super::{context::Context, output::note, show};

pub(super) async fn show(context: &Context) -> anyhow::Result<()> {
    let request = context.client().await?.slot_request().await?;
    context.out.value(&request, || match &request {
        None => "nobody has asked for a backup key or a hardware token".to_owned(),
        Some(request) => describe(request, SystemClock.now()),
    })
}

fn describe(request: &SlotRequest, now: Timestamp) -> String {
    let state = match request {
        SlotRequest { refused: true, .. } => "refused: nothing is handed out for it",
        SlotRequest { handed_out: true, .. } => "handed out to the device that asked",
        SlotRequest { ready_at: Some(ready), .. } if now < *ready => "waits",
        _ => "can be collected by the device that asked",
    };
    let mut facts = vec![
        ("to open with", request.with.to_owned()),
        ("asked by", request.client.clone()),
        ("asked", show::at(request.asked_at)),
        ("it", state.to_owned()),
    ];
    if request.ready_at != request.asked_at {
        facts.push(("can be collected from", show::at(request.ready_at)));
        facts.push(("until", show::at(request.expires_at)));
    }
    show::facts(&facts)
}

pub(super) async fn refuse(context: &Context) -> anyhow::Result<()> {
    let client = context.client().await?;
    // who keeps the account busy keeps nobody from refusing: that is counted apart, and needs no look before
    let seen = client.slot_request().await.ok();
    if seen == Some(None) {
        let text = "nobody has asked for a backup key or a hardware token";
        return Err(ClientError::Usage(text.to_owned()).into());
    }
    let seen = seen.flatten();
    client.refuse_slot_request(seen.as_ref()).await?;
    let with = seen.as_ref().map_or("key or token", |request| request.with);
    context.out.done(&format!("refused: the {with} opens nothing for the device that asked"))?;
    if context.out.json {
        return Ok(());
    }
    note("If it was not you who asked, somebody has your account: `ocmt sessions revoke-others`.");
    if seen.is_none_or(|request| request.handed_out) {
        note(
            "If it was handed out already, whoever has the key may have opened the vault. Give it new ones: \
             `ocmt vault backup-key`, or `ocmt vault slots rm`.",
        );
    } else {
        note(
            "Whoever has the key itself may try again: with the vault open, `ocmt vault backup-key` makes another.",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ocmt_types::{HandoutId, Id as _, VaultId};

    use super::*;

    #[test]
    fn what_becomes_of_a_request_is_said() {
        let at = |millis| Some(Timestamp(millis));
        let asked = SlotRequest {
            vault: VaultId::from_bytes([1; 16]),
            id: HandoutId::from_bytes([2; 16]),
            with: "backup key",
            asked_at: at(1_000),
            ready_at: at(5_000),
            expires_at: at(9_000),
            refused: false,
            handed_out: false,
            client: "ocmt".to_owned(),
        };
        let said = |request: &SlotRequest, now| describe(request, Timestamp(now));
        assert!(said(&asked, 4_999).contains("waits") && said(&asked, 5_000).contains("can be collected by"));
        assert!(said(&asked, 1_000).contains("until"));
        let out = SlotRequest { handed_out: true, ..asked.clone() };
        assert!(said(&out, 5_000).contains("handed out"));
        assert!(said(&SlotRequest { refused: true, ..out }, 5_000).contains("refused"));
        let at_once = SlotRequest { ready_at: at(1_000), handed_out: true, ..asked };
        assert!(!said(&at_once, 1_000).contains("until"));
    }
}
