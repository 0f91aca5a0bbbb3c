//! The inbox of a person: what waits, and the same as it comes.

use data_encoding::HEXLOWER;
use futures_util::StreamExt as _;
use ocmt_actors::api::inbox::{InboxEntry, InboxKind, InboxPlace, ListInbox, WatchInbox};
use ocmt_proto::v1 as pb;
use ocmt_types::Timestamp;
use tonic::{Request, Response, Status, codegen::BoxStream};

use super::{Answer, Rpc, convert, refuse};

/// The kinds, and what they are on the wire.
const KINDS: [(InboxKind, pb::InboxItemKind); 7] = [
    (InboxKind::GuardianInvite, pb::InboxItemKind::GuardianInvite),
    (InboxKind::UnitsDealt, pb::InboxItemKind::UnitsDealt),
    (InboxKind::Ceremony, pb::InboxItemKind::Ceremony),
    (InboxKind::Drill, pb::InboxItemKind::Drill),
    (InboxKind::GuardianAnswer, pb::InboxItemKind::GuardianAnswer),
    (InboxKind::ShareOffer, pb::InboxItemKind::ShareOffer),
    (InboxKind::Notice, pb::InboxItemKind::Notice),
];

pub(super) async fn list(rpc: &Rpc, request: Request<pb::ListInboxRequest>) -> Answer<pb::ListInboxResponse> {
    let it = request.get_ref();
    let kinds = it.kinds().map(|wanted| {
        let known = KINDS.iter().find(|(_, wire)| *wire == wanted).map(|(kind, _)| *kind);
        known.ok_or_else(|| convert::invalid("kinds", "names none"))
    });
    let ask = ListInbox {
        after: place(&it.page_token, "page_token")?,
        limit: convert::page_size(it.page_size, 50),
        kinds: kinds.collect::<Result<_, _>>()?,
    };
    let page = rpc.ask(&request, &[], ask).await?;
    Ok(Response::new(pb::ListInboxResponse {
        items: page.items.into_iter().map(item).collect(),
        next_page_token: page.next.map(token).unwrap_or_default(),
    }))
}

pub(super) async fn watch(
    rpc: &Rpc,
    request: Request<pb::WatchInboxRequest>,
) -> Answer<BoxStream<pb::WatchInboxResponse>> {
    let ask = WatchInbox { from: place(&request.get_ref().resume_token, "resume_token")? };
    let caller = rpc.caller(&request).await?;
    let events = rpc.system.watch_inbox(caller, rpc.meta(&request, &[]), ask).await;
    let events = events.map_err(|error| refuse(&error))?;
    let told = events.map(|event| match event {
        Ok(event) => {
            Ok(pb::WatchInboxResponse { item: event.item.map(item), resume_token: token(event.place) })
        }
        Err(error) => Err(refuse(&error)),
    });
    Ok(Response::new(told.boxed()))
}

fn item(entry: InboxEntry) -> pb::InboxItem {
    let kind = KINDS.iter().find(|(kind, _)| *kind == entry.place.kind);
    pb::InboxItem {
        message_id: uuid(entry.place.id),
        kind: kind.map_or(pb::InboxItemKind::Unspecified, |(_, wire)| *wire).into(),
        received_at: Some(convert::time(entry.place.at)),
        from_email: entry.from,
        subject_id: entry.subject,
        body: entry.body.into(),
    }
}

fn uuid(id: [u8; 16]) -> String {
    <ocmt_types::MessageId as ocmt_types::Id>::from_bytes(id).to_string()
}

/// Tokens are the time, the id and the kind of an item.
fn token(place: InboxPlace) -> String {
    let kind = KINDS.iter().position(|(kind, _)| *kind == place.kind).unwrap_or_default();
    format!("{}.{}.{kind}", place.at.0, HEXLOWER.encode(&place.id))
}

fn place(token: &str, field: &'static str) -> Result<Option<InboxPlace>, Status> {
    if token.is_empty() {
        return Ok(None);
    }
    let parse = || {
        let mut parts = token.split('.');
        let at = Timestamp(parts.next()?.parse().ok()?);
        let id = HEXLOWER.decode(parts.next()?.as_bytes()).ok()?.try_into().ok()?;
        let kind: usize = parts.next()?.parse().ok()?;
        let kind = KINDS.get(kind)?.0;
        parts.next().is_none().then_some(InboxPlace { at, id, kind })
    };
    parse().map(Some).ok_or_else(|| convert::invalid(field, "is not one of ours"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_token_leads_back_to_its_place_and_others_nowhere() {
        for (kind, _) in KINDS {
            let there = InboxPlace { at: Timestamp(7), id: [3; 16], kind };
            assert_eq!(place(&token(there), "page_token").unwrap(), Some(there));
        }
        for bad in [
            "x",
            "1.2",
            "1.00.0",
            "1.03030303030303030303030303030303.9",
            "..",
            "1.03030303030303030303030303030303.1.1",
        ] {
            assert!(place(bad, "page_token").is_err(), "{bad}");
        }
    }
}
