//! TranscriptService: sealed records in order. Nothing is opened here.

use std::time::Duration;

use futures_util::FutureExt as _;
use ocmt_actors::{
    ActorError, CallMeta, Caller, StreamEnd, StreamGuard, TranscriptWake,
    api::transcript::{
        AppendTranscript, ConversationInfo, DeleteConversation, ListConversations, OpenConversation,
        ReadTranscript, TranscriptPage,
    },
};
use ocmt_proto::v1::{
    self as pb, append_transcript_request::Part, transcript_service_server::TranscriptService,
};
use ocmt_types::{ConversationId, Deadline, Timestamp};
use prost::Message as _;
use tonic::{
    Request, Response, Status, Streaming, async_trait, codegen::BoxStream, codegen::http::HeaderMap,
};

use super::{Answer, Rpc, convert, refuse};
use crate::edge::call;

/// What reading costs the tenant's admission, in bytes.
const READING: usize = 1024;
/// Use of a session is told in steps of this.
const USED_STEP: Duration = Duration::from_secs(30);
/// Bytes of a tag, at the end of a record.
const TAG: usize = 16;

#[async_trait]
impl TranscriptService for Rpc {
    async fn open_conversation(
        &self,
        request: Request<pb::OpenConversationRequest>,
    ) -> Answer<pb::OpenConversationResponse> {
        let it = request.get_ref();
        let ask = OpenConversation {
            vault: convert::id(&it.vault_id, "vault_id")?,
            conversation: conversation(&it.conversation_id)?,
            wrapped_key: it.wrapped_key.to_vec(),
            container: convert::optional_id(&it.container_id, "container_id")?,
        };
        let made = self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pb::OpenConversationResponse { conversation: Some(to_wire(made)) }))
    }

    /// Each batch is a call of its own: what was appended before a cut stays appended.
    async fn append_transcript(
        &self,
        request: Request<Streaming<pb::AppendTranscriptRequest>>,
    ) -> Answer<pb::AppendTranscriptResponse> {
        let caller = self.caller(&request).await?;
        let headers = request.metadata().clone().into_headers();
        let mut stream = request.into_inner();
        let Some(Part::Start(start)) = stream.message().await?.and_then(|message| message.part) else {
            return Err(convert::invalid("part", "of the first message is not start"));
        };
        let mut appending = Appending {
            rpc: self.clone(),
            headers,
            caller,
            conversation: conversation(&start.conversation_id)?,
            next: start.first_sequence,
            previous_tag: start.previous_tag.to_vec(),
            stored: None,
        };
        // tied to the session once the first batch has shown that it may
        let mut guard = None;
        while let Some(message) = appending.next(&mut stream, &mut guard).await? {
            let Some(Part::Batch(batch)) = message.part else {
                return Err(convert::invalid("part", "of a further message is not batch"));
            };
            appending.append(batch).await?;
            if guard.is_none() {
                let until = deadline(self, &appending.headers);
                let tenant = self.system.tenant(appending.caller.tenant());
                let tied = tenant.open_stream(&appending.caller, until).await;
                guard = Some(tied.map_err(|e| refuse(&e))?);
            }
        }
        if appending.stored.is_none() {
            // nobody is told that a conversation is there without being asked whose it is
            appending.append(pb::TranscriptBatch::default()).await?;
        }
        let next_sequence = appending.stored.unwrap_or_default();
        Ok(Response::new(pb::AppendTranscriptResponse { next_sequence }))
    }

    async fn read_transcript(
        &self,
        request: Request<pb::ReadTranscriptRequest>,
    ) -> Answer<BoxStream<pb::ReadTranscriptResponse>> {
        let caller = self.caller(&request).await?;
        let it = request.get_ref();
        let conversation = conversation(&it.conversation_id)?;
        let headers = request.metadata().clone().into_headers();
        let tenant = self.system.tenant(caller.tenant());
        let until = deadline(self, &headers);
        // before the first page: what comes from now on is either in it or wakes
        let wake = match it.follow {
            true => {
                Some(tenant.follow_transcript(&caller, conversation, until).await.map_err(|e| refuse(&e))?)
            }
            false => None,
        };
        let mut reading =
            Reading { rpc: self.clone(), headers, conversation, next: it.from_sequence, caller };
        let page = reading.page(false).await?;
        let guard = tenant.open_stream(&reading.caller, until).await.map_err(|e| refuse(&e))?;
        let used = self.clock.boottime();
        Ok(Response::new(pages(Following { reading, guard, wake, page: Some(page), over: false, used })))
    }

    async fn list_conversations(
        &self,
        request: Request<pb::ListConversationsRequest>,
    ) -> Answer<pb::ListConversationsResponse> {
        let it = request.get_ref();
        let limit = convert::page_size(it.page_size, 50);
        let ask = ListConversations { after: after(&it.page_token)?, limit };
        let page = self.ask(&request, &[], ask).await?;
        let token = |(at, id): (Timestamp, ConversationId)| format!("{}.{id}", at.millis());
        Ok(Response::new(pb::ListConversationsResponse {
            conversations: page.conversations.into_iter().map(to_wire).collect(),
            next_page_token: page.next.map(token).unwrap_or_default(),
        }))
    }

    async fn delete_conversation(
        &self,
        request: Request<pb::DeleteConversationRequest>,
    ) -> Answer<pb::DeleteConversationResponse> {
        let it = request.get_ref();
        let ask = DeleteConversation {
            conversation: conversation(&it.conversation_id)?,
            manifest: it.manifest.to_vec(),
        };
        let written = self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pb::DeleteConversationResponse { counter: written.counter }))
    }
}

/// Where the next batch of a stream belongs.
struct Appending {
    rpc: Rpc,
    headers: HeaderMap,
    caller: Caller,
    conversation: ConversationId,
    next: u64,
    previous_tag: Vec<u8>,
    /// What the last batch was answered with.
    stored: Option<u64>,
}

impl Appending {
    /// The next message, as long as the session lasts.
    async fn next(
        &self,
        stream: &mut Streaming<pb::AppendTranscriptRequest>,
        guard: &mut Option<StreamGuard>,
    ) -> Result<Option<pb::AppendTranscriptRequest>, Status> {
        let Some(guard) = guard else { return stream.message().await };
        tokio::select! {
            biased;
            end = guard.over() => Err(ended(end)),
            message = stream.message() => message,
        }
    }

    async fn append(&mut self, batch: pb::TranscriptBatch) -> Result<(), Status> {
        let bytes = batch.encoded_len();
        let records: Vec<Vec<u8>> = batch.records.iter().map(|record| record.to_vec()).collect();
        let (behind, last) = (self.next.saturating_add(records.len() as u64), records.last().map(|r| tag(r)));
        let ask = AppendTranscript {
            conversation: self.conversation,
            first_sequence: self.next,
            previous_tag: std::mem::take(&mut self.previous_tag),
            records,
        };
        let meta = CallMeta { deadline: deadline(&self.rpc, &self.headers), idempotency: None, bytes };
        let tenant = self.rpc.system.tenant(self.caller.tenant());
        let asked = tenant.call(self.caller.clone(), meta, ask).await.map_err(|e| refuse(&e))?;
        (self.next, self.previous_tag) = (behind, last.unwrap_or_default());
        self.stored = Some(asked.next_sequence);
        Ok(())
    }
}

fn tag(record: &[u8]) -> Vec<u8> {
    record[record.len().saturating_sub(TAG)..].to_vec()
}

/// A place in a conversation, and who reads on from it.
struct Reading {
    rpc: Rpc,
    headers: HeaderMap,
    caller: Caller,
    conversation: ConversationId,
    next: u64,
}

impl Reading {
    /// The next page, decided on anew each time.
    async fn page(&mut self, continues: bool) -> Result<TranscriptPage, Status> {
        let deadline = deadline(&self.rpc, &self.headers);
        let meta = CallMeta { deadline, idempotency: None, bytes: READING };
        let ask = ReadTranscript { conversation: self.conversation, from: self.next, continues };
        let tenant = self.rpc.system.tenant(self.caller.tenant());
        let page = tenant.call(self.caller.clone(), meta, ask).await.map_err(|e| refuse(&e))?;
        self.next = page.first_sequence.saturating_add(page.records.len() as u64);
        Ok(page)
    }
}

/// A stream of pages. Nothing is fetched before whoever reads has taken what was there.
struct Following {
    reading: Reading,
    guard: StreamGuard,
    /// Whether to go on at the end.
    wake: Option<TranscriptWake>,
    /// Fetched, and not handed out yet.
    page: Option<TranscriptPage>,
    over: bool,
    /// When the session was last told that it is in use.
    used: Duration,
}

fn pages(following: Following) -> BoxStream<pb::ReadTranscriptResponse> {
    Box::pin(futures_util::stream::unfold(following, |mut following| async move {
        let next = following.next().await?;
        following.over |= next.is_err();
        Some((next, following))
    }))
}

impl Following {
    async fn next(&mut self) -> Option<Result<pb::ReadTranscriptResponse, Status>> {
        while !self.over {
            let page = match self.page.take() {
                Some(page) => page,
                None => match self.reading.page(true).await {
                    Ok(page) => page,
                    Err(status) => return Some(Err(status)),
                },
            };
            self.over = page.ended || (self.wake.is_none() && !page.more);
            if page.conversation.is_some() || !page.records.is_empty() {
                // read before, it may be asked for after the end
                if let Some(end @ StreamEnd::SessionOver) = self.guard.over().now_or_never() {
                    return Some(Err(ended(end)));
                }
                self.is_used();
                return Some(Ok(page_to_wire(page)));
            }
            if let Err(status) = self.wait().await {
                return Some(Err(status));
            }
        }
        None
    }

    /// Who reads what comes uses the session.
    fn is_used(&mut self) {
        let now = self.reading.rpc.clock.boottime();
        if now.saturating_sub(self.used) >= USED_STEP {
            self.used = now;
            self.guard.used();
        }
    }

    /// Until something came, or the stream has to end.
    async fn wait(&mut self) -> Result<(), Status> {
        let Some(wake) = &mut self.wake else { return Ok(()) };
        tokio::select! {
            biased;
            end = self.guard.over() => Err(ended(end)),
            told = wake.changed() => if told { Ok(()) } else { Err(ended(StreamEnd::Moved)) },
        }
    }
}

fn ended(end: StreamEnd) -> Status {
    refuse(&match end {
        StreamEnd::SessionOver => ActorError::Unauthenticated("the session has ended"),
        StreamEnd::Moved | StreamEnd::LeaseLost => {
            ActorError::unavailable("MOVED", "the tenant moved to another node meanwhile; read on from there")
        }
    })
}

fn deadline(rpc: &Rpc, headers: &HeaderMap) -> Deadline {
    call::deadline(headers, &*rpc.clock, rpc.longest_call)
}

fn conversation(id: &str) -> Result<ConversationId, Status> {
    convert::id(id, "conversation_id")
}

/// Page tokens are the last conversation's time and id.
fn after(token: &str) -> Result<Option<(Timestamp, ConversationId)>, Status> {
    if token.is_empty() {
        return Ok(None);
    }
    let parsed =
        token.split_once('.').and_then(|(at, id)| Some((Timestamp(at.parse().ok()?), id.parse().ok()?)));
    parsed.map(Some).ok_or_else(|| convert::invalid("page_token", "is not one of ours"))
}

fn page_to_wire(page: TranscriptPage) -> pb::ReadTranscriptResponse {
    pb::ReadTranscriptResponse {
        first_sequence: page.first_sequence,
        records: page.records.into_iter().map(Into::into).collect(),
        conversation: page.conversation.map(to_wire),
    }
}

fn to_wire(info: ConversationInfo) -> pb::Conversation {
    pb::Conversation {
        conversation_id: info.id.to_string(),
        vault_id: info.vault.to_string(),
        container_id: info.container.map(|id| id.to_string()).unwrap_or_default(),
        wrapped_key: info.wrapped_key.into(),
        next_sequence: info.next_sequence,
        last_tag: info.last_tag.into(),
        finished: info.finished,
        created_at: Some(convert::time(info.created_at)),
        updated_at: Some(convert::time(info.updated_at)),
        first_sequence: info.first_sequence,
        before_tag: info.before_tag.into(),
    }
}
