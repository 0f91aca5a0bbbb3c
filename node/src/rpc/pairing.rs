//! PairingService: who may talk to an agent over a messenger.

use ocmt_actors::api::pairing::{
    ApprovePairing, CheckSender, ConversationScope, ListPairedSenders, ListPendingPairings, RejectPairing,
    RevokePairedSender,
};
use ocmt_proto::v1::{self as pb, pairing_service_server::PairingService};
use ocmt_types::{Digest32, Secret};
use sha2::{Digest as _, Sha256};
use tonic::{Request, Response, async_trait};

use super::{Answer, Rpc, convert, pairing_wire};

#[async_trait]
impl PairingService for Rpc {
    async fn check_sender(
        &self,
        request: Request<pb::CheckSenderRequest>,
    ) -> Answer<pb::CheckSenderResponse> {
        let it = request.get_ref();
        let scope = match it.scope() {
            pb::ConversationScope::Direct => ConversationScope::Direct,
            pb::ConversationScope::Group => ConversationScope::Group,
            pb::ConversationScope::Unspecified => return Err(convert::invalid("scope", "is missing")),
        };
        let ask = CheckSender {
            container: convert::id(&it.container_id, "container_id")?,
            channel: it.channel.clone(),
            sender: it.sender_id.clone(),
            scope,
            display_name: it.display_name.clone(),
            asked_by: Digest32(Sha256::digest(&it.idempotency_key).into()),
        };
        let decision = self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pairing_wire::decision(&decision)))
    }

    async fn list_pending_pairings(
        &self,
        request: Request<pb::ListPendingPairingsRequest>,
    ) -> Answer<pb::ListPendingPairingsResponse> {
        let it = request.get_ref();
        let ask = ListPendingPairings {
            after: convert::optional_id(&it.page_token, "page_token")?,
            limit: convert::page_size(it.page_size, 50),
        };
        let page = self.ask(&request, &[], ask).await?;
        Ok(Response::new(pb::ListPendingPairingsResponse {
            pairings: page.pairings.into_iter().map(pairing_wire::pending).collect(),
            next_page_token: page.next.map(|next| next.to_string()).unwrap_or_default(),
        }))
    }

    async fn approve_pairing(
        &self,
        request: Request<pb::ApprovePairingRequest>,
    ) -> Answer<pb::ApprovePairingResponse> {
        let it = request.get_ref();
        let ask = ApprovePairing {
            pairing: convert::id(&it.pairing_id, "pairing_id")?,
            code: Secret::new(it.pairing_code.clone()),
        };
        let sender = self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pb::ApprovePairingResponse { sender: Some(pairing_wire::sender(sender)) }))
    }

    async fn reject_pairing(
        &self,
        request: Request<pb::RejectPairingRequest>,
    ) -> Answer<pb::RejectPairingResponse> {
        let it = request.get_ref();
        let ask = RejectPairing { pairing: convert::id(&it.pairing_id, "pairing_id")? };
        self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pb::RejectPairingResponse::default()))
    }

    async fn list_paired_senders(
        &self,
        request: Request<pb::ListPairedSendersRequest>,
    ) -> Answer<pb::ListPairedSendersResponse> {
        let it = request.get_ref();
        let ask = ListPairedSenders {
            after: convert::optional_id(&it.page_token, "page_token")?,
            limit: convert::page_size(it.page_size, 50),
        };
        let page = self.ask(&request, &[], ask).await?;
        Ok(Response::new(pb::ListPairedSendersResponse {
            senders: page.senders.into_iter().map(pairing_wire::sender).collect(),
            next_page_token: page.next.map(|next| next.to_string()).unwrap_or_default(),
        }))
    }

    async fn revoke_paired_sender(
        &self,
        request: Request<pb::RevokePairedSenderRequest>,
    ) -> Answer<pb::RevokePairedSenderResponse> {
        let it = request.get_ref();
        let ask = RevokePairedSender { sender: convert::id(&it.sender_ref, "sender_ref")? };
        self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pb::RevokePairedSenderResponse::default()))
    }
}
