//! The codec in a real server: a request out of bounds never reaches its handler.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use ocmt_proto::{
    codec::{ERROR_DOMAIN, OUT_OF_BOUNDS},
    v1::{
        AppendTranscriptRequest, AppendTranscriptResponse, ListConversationsRequest,
        ListConversationsResponse, OpenConversationRequest, OpenConversationResponse, TranscriptBatch,
        TranscriptStart,
        append_transcript_request::Part,
        transcript_service_client::TranscriptServiceClient,
        transcript_service_server::{TranscriptService, TranscriptServiceServer},
    },
};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Code, Request, Response, Status, Streaming,
    transport::{Channel, Server},
};
use tonic_types::StatusExt as _;

const ID: &str = "018f4e2a-9c3d-4a1b-8e5f-0123456789ab";

/// Counts the requests that got through.
#[derive(Debug, Default, Clone)]
struct Counting(Arc<AtomicUsize>);

impl Counting {
    fn reached(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

#[tonic::async_trait]
impl TranscriptService for Counting {
    async fn open_conversation(
        &self,
        _: Request<OpenConversationRequest>,
    ) -> Result<Response<OpenConversationResponse>, Status> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(Response::new(OpenConversationResponse::default()))
    }

    async fn append_transcript(
        &self,
        request: Request<Streaming<AppendTranscriptRequest>>,
    ) -> Result<Response<AppendTranscriptResponse>, Status> {
        let mut parts = request.into_inner();
        while parts.message().await?.is_some() {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
        Ok(Response::new(AppendTranscriptResponse::default()))
    }

    async fn list_conversations(
        &self,
        _: Request<ListConversationsRequest>,
    ) -> Result<Response<ListConversationsResponse>, Status> {
        // longer than the bound of a request's page_token: answers are not checked
        Ok(Response::new(ListConversationsResponse {
            next_page_token: "x".repeat(1000),
            ..Default::default()
        }))
    }
}

/// Runs `client` against a server of `service`.
async fn serve<F: Future<Output = ()>>(
    service: Counting,
    client: impl FnOnce(TranscriptServiceClient<Channel>) -> F,
) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let server = Server::builder()
        .add_service(TranscriptServiceServer::new(service))
        .serve_with_incoming(TcpListenerStream::new(listener));
    let calls = async { client(TranscriptServiceClient::connect(endpoint).await.unwrap()).await };
    tokio::select! {
        ended = server => panic!("the server ended: {ended:?}"),
        () = calls => {}
    }
}

fn good() -> OpenConversationRequest {
    OpenConversationRequest {
        vault_id: ID.to_owned(),
        conversation_id: ID.to_owned(),
        wrapped_key: vec![1; 256].into(),
        container_id: String::new(),
        idempotency_key: vec![2; 16].into(),
    }
}

#[tokio::test]
async fn a_request_within_its_bounds_reaches_the_handler() {
    let service = Counting::default();
    serve(service.clone(), async |mut client| {
        client.open_conversation(good()).await.unwrap();
    })
    .await;
    assert_eq!(service.reached(), 1);
}

#[tokio::test]
async fn a_request_out_of_bounds_is_refused_with_the_fields_named() {
    let service = Counting::default();
    serve(service.clone(), async |mut client| {
        let bad = OpenConversationRequest {
            vault_id: ID.to_uppercase(),
            wrapped_key: vec![1; 257].into(),
            idempotency_key: vec![2; 15].into(),
            ..good()
        };
        let status = client.open_conversation(bad).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        let details = status.get_error_details();
        let fields: Vec<_> =
            details.bad_request().unwrap().field_violations.iter().map(|each| each.field.as_str()).collect();
        assert_eq!(fields, ["vault_id", "wrapped_key", "idempotency_key"]);
        let info = details.error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), (OUT_OF_BOUNDS, ERROR_DOMAIN));
    })
    .await;
    assert_eq!(service.reached(), 0);
}

#[tokio::test]
async fn each_message_of_a_client_stream_is_checked() {
    let service = Counting::default();
    serve(service.clone(), async |mut client| {
        let part = |part| AppendTranscriptRequest { part: Some(part) };
        let start = TranscriptStart {
            conversation_id: ID.to_owned(),
            first_sequence: 1,
            previous_tag: bytes::Bytes::new(),
            idempotency_key: vec![2; 16].into(),
        };
        let batch = |len| part(Part::Batch(TranscriptBatch { records: vec![vec![3; len].into()] }));
        let parts = [part(Part::Start(start)), batch(262_272), batch(262_273)];
        let status = client.append_transcript(tokio_stream::iter(parts)).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        let details = status.get_error_details();
        assert_eq!(details.bad_request().unwrap().field_violations[0].field, "batch.records[0]");
    })
    .await;
    assert_eq!(service.reached(), 2);
}

#[tokio::test]
async fn answers_are_not_held_to_the_bounds_of_requests() {
    serve(Counting::default(), async |mut client| {
        let answer = client.list_conversations(ListConversationsRequest::default()).await.unwrap();
        assert_eq!(answer.into_inner().next_page_token.len(), 1000);
    })
    .await;
}
