//! What the cell wants of its conversations' transcripts, as the node asks for it.

use std::{sync::Arc, time::Duration};

use ocmt_proto::cell::v1::{
    self as pb, ExchangeTranscriptsRequest, ExchangeTranscriptsResponse, transcript_answer::Answer,
};
use tonic::{Response, Status};

use crate::{
    CellError,
    cell::Cell,
    conversations::wishes::{Got, Wanted, Wish},
};

/// Answers of one call, and records of one of them.
const MAX_ANSWERS: usize = 32;
const MAX_RECORDS: usize = 64;
/// Longest record.
const MAX_RECORD: usize = 262_272;
/// Longest word and longest text of a refusal.
const MAX_WHY: usize = 500;

pub(super) async fn exchange(
    cell: &Arc<Cell>,
    it: ExchangeTranscriptsRequest,
) -> Result<Response<ExchangeTranscriptsResponse>, Status> {
    let ExchangeTranscriptsRequest { answers, wait } = it;
    if answers.len() > MAX_ANSWERS {
        return Err(CellError::Invalid("over 32 answers").into());
    }
    for pb::TranscriptAnswer { wish_id, answer } in answers {
        let id = wish_id.parse().map_err(|_| CellError::Invalid("wish_id is no lower-case UUID"))?;
        cell.wishes().settle(id, got(answer)?);
    }
    let wait = wait.and_then(|wait| Duration::try_from(wait).ok()).unwrap_or_default();
    let wishes = cell.wishes().take(wait).await.into_iter().map(wish).collect();
    Ok(Response::new(ExchangeTranscriptsResponse { wishes }))
}

fn got(answer: Option<Answer>) -> Result<Got, CellError> {
    match answer {
        Some(Answer::Done(_)) => Ok(Got::Done),
        Some(Answer::Shown(shown)) => {
            let long = shown.records.iter().any(|record| record.len() > MAX_RECORD);
            if long || shown.records.len() > MAX_RECORDS {
                return Err(CellError::Invalid("over 64 records, or one that is too long"));
            }
            let (first, next) = (shown.first_sequence, shown.next_sequence);
            Ok(Got::Shown { first, records: shown.records, next })
        }
        Some(Answer::Refused(refused)) => {
            if refused.reason.len().max(refused.why.len()) > MAX_WHY {
                return Err(CellError::Invalid("a refusal of over 500 bytes"));
            }
            Ok(Got::Refused { reason: refused.reason, why: refused.why })
        }
        None => Err(CellError::Invalid("an answer says nothing")),
    }
}

fn wish(wish: Wish) -> pb::TranscriptWish {
    use pb::transcript_wish::Wish as Of;
    let of = match wish.wanted {
        Wanted::Begin { item, sealed } => {
            Of::Begin(pb::TranscriptBegun { item_id: item.to_string(), sealed })
        }
        Wanted::Look(from_sequence) => Of::Look(pb::TranscriptLook { from_sequence }),
        Wanted::Append { sequence, previous_tag, record } => {
            Of::Append(pb::TranscriptPiece { sequence, previous_tag, record })
        }
    };
    pb::TranscriptWish {
        wish_id: wish.id.to_string(),
        unlock_id: wish.unlock.to_string(),
        conversation_id: wish.conversation.to_string(),
        wish: Some(of),
    }
}
