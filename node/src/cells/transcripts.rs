//! What cells want of their conversations' transcripts, over gRPC.

use std::time::Duration;

use ocmt_actors::{CellCall, CellGot, CellInboxItem, CellTarget, CellTranscripts, CellWant, CellWanted};
use ocmt_proto::cell::v1::{self as pb, transcript_answer::Answer, transcript_wish::Wish};
use ocmt_types::MessageId;

use super::{GrpcCells, call, with_token};

/// Wishes of one answer.
const WISHES: usize = 32;
/// Bytes of the word and of the text of a refusal.
const MAX_REASON: usize = 64;
const MAX_WHY: usize = 500;

impl CellTranscripts for GrpcCells {
    fn exchange_transcripts<'a>(
        &'a self,
        cell: &'a CellTarget,
        answers: Vec<(MessageId, CellGot)>,
        wait: Duration,
    ) -> CellCall<'a, Vec<CellWant>> {
        Box::pin(async move {
            let message = pb::ExchangeTranscriptsRequest {
                answers: answers.into_iter().map(answer).collect(),
                wait: prost_types::Duration::try_from(wait).ok(),
            };
            let wishes = call!(self, cell, exchange_transcripts, message)?.wishes;
            // what has no id cannot be answered: a cell that sends such a thing is broken
            Ok(wishes.into_iter().take(WISHES).filter_map(want).collect())
        })
    }
}

fn answer((wish, got): (MessageId, CellGot)) -> pb::TranscriptAnswer {
    let answer = match got {
        CellGot::Done => Answer::Done(pb::TranscriptDone {}),
        CellGot::Shown { first_sequence, records, next_sequence } => {
            let records = records.into_iter().map(Into::into).collect();
            Answer::Shown(pb::TranscriptShown { first_sequence, records, next_sequence })
        }
        CellGot::Refused { mut reason, mut why } => {
            reason.truncate(reason.floor_char_boundary(MAX_REASON));
            why.truncate(why.floor_char_boundary(MAX_WHY));
            Answer::Refused(pb::TranscriptRefused { reason, why })
        }
    };
    pb::TranscriptAnswer { wish_id: wish.to_string(), answer: Some(answer) }
}

fn want(wish: pb::TranscriptWish) -> Option<CellWant> {
    let what = match wish.wish? {
        Wish::Begin(begun) => CellWanted::Begin(CellInboxItem {
            item: begun.item_id.parse().ok()?,
            sealed: begun.sealed.into(),
            connection: None,
        }),
        Wish::Look(look) => CellWanted::Look(look.from_sequence),
        Wish::Append(piece) => CellWanted::Append {
            sequence: piece.sequence,
            previous_tag: piece.previous_tag.into(),
            record: piece.record.into(),
        },
    };
    Some(CellWant {
        wish: wish.wish_id.parse().ok()?,
        unlock: wish.unlock_id.parse().ok()?,
        conversation: wish.conversation_id.parse().ok()?,
        what,
    })
}
