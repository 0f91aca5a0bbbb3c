//! Any order of operations comes out as a model says: a list of texts, an end, and what retention took of the front.

use ocmt_crypto::vault::RotationMode;
use proptest::prelude::*;

use super::{Talk, batch, reason, shown};
use crate::{
    api::transcript::AppendTranscript,
    tests::{kit::Kit, vault::rotate},
};

#[derive(Debug, Clone)]
enum Step {
    /// Append so many.
    Say(u8),
    /// The same batch again.
    Repeat,
    /// A batch of which the first `n` are there.
    Overlap(u8),
    /// A batch behind a gap.
    Skip,
    /// A batch from another history.
    Fork,
    /// New keys.
    Rotate(bool),
    /// The final record.
    Finish,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..20_u8).prop_map(Step::Say),
        2 => Just(Step::Repeat),
        2 => (0..5_u8).prop_map(Step::Overlap),
        1 => Just(Step::Skip),
        1 => Just(Step::Fork),
        1 => any::<bool>().prop_map(Step::Rotate),
        1 => Just(Step::Finish),
    ]
}

/// What has to be there.
#[derive(Default)]
struct Model {
    texts: Vec<Vec<u8>>,
    finished: bool,
    last: Option<AppendTranscript>,
    said: u32,
}

impl Model {
    fn texts(&mut self, n: u8) -> Vec<Vec<u8>> {
        let from = self.said;
        self.said += u32::from(n);
        (from..self.said).map(|n| n.to_be_bytes().to_vec()).collect()
    }
}

async fn sealed(kit: &Kit, talk: &Talk, texts: &[Vec<u8>], last: bool) -> AppendTranscript {
    let mut writer = talk.resumed(kit).await;
    let at = writer.anchor();
    let mut records = Vec::new();
    for (n, text) in texts.iter().enumerate() {
        records.push(writer.append(text, last && n + 1 == texts.len(), &mut rand::rng()).unwrap());
    }
    batch(talk.id, &at, records)
}

async fn take(kit: &Kit, talk: &mut Talk, model: &mut Model, step: Step) {
    if model.finished && !matches!(step, Step::Repeat | Step::Rotate(_)) {
        // nobody can even seal behind the end; what was sealed before it is refused
        let Some(mut old) = model.last.clone() else { return };
        old.first_sequence += old.records.len() as u64;
        old.previous_tag = shown(kit, talk).await.last_tag;
        assert_eq!(reason(kit.call(talk.caller(), old).await), "TRANSCRIPT_FINISHED");
        return;
    }
    match step {
        Step::Say(n) => {
            let texts = model.texts(n);
            let batch = sealed(kit, talk, &texts, false).await;
            kit.call(talk.caller(), batch.clone()).await.unwrap();
            model.texts.extend(texts);
            model.last = Some(batch);
        }
        Step::Finish => {
            let texts = model.texts(2);
            let batch = sealed(kit, talk, &texts, true).await;
            kit.call(talk.caller(), batch.clone()).await.unwrap();
            model.texts.extend(texts);
            (model.finished, model.last) = (true, Some(batch));
        }
        Step::Repeat => {
            if let Some(batch) = model.last.clone() {
                kit.call(talk.caller(), batch).await.unwrap();
            }
        }
        Step::Overlap(n) => {
            let texts = model.texts(3);
            let fresh = sealed(kit, talk, &texts, false).await;
            let Some(last) = model.last.clone() else { return };
            let from = last.records.len() - usize::from(n).min(last.records.len());
            let previous_tag = match from {
                0 => last.previous_tag.clone(),
                from => last.records[from - 1][last.records[from - 1].len() - 16..].to_vec(),
            };
            let records = [&last.records[from..], &fresh.records].concat();
            let first_sequence = last.first_sequence + from as u64;
            let whole = AppendTranscript { first_sequence, previous_tag, records, ..last };
            kit.call(talk.caller(), whole).await.unwrap();
            model.texts.extend(texts);
            model.last = Some(fresh);
        }
        Step::Skip => {
            let mut behind = sealed(kit, talk, &[b"lost".to_vec(), b"late".to_vec()], false).await;
            behind.records.remove(0);
            behind.first_sequence += 1;
            assert_eq!(reason(kit.call(talk.caller(), behind).await), "TRANSCRIPT_GAP");
        }
        Step::Fork => {
            let mut other = sealed(kit, talk, &[b"fork".to_vec()], false).await;
            other.previous_tag = vec![9; 16];
            assert_eq!(reason(kit.call(talk.caller(), other).await), "CHANGED_MEANWHILE");
        }
        Step::Rotate(rekey) => {
            let mode = if rekey { RotationMode::Rekey } else { RotationMode::Rewrap };
            rotate(kit, &talk.person, &mut talk.open, mode, true).await.unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn any_order_of_operations_comes_out_as_the_model_says(steps in proptest::collection::vec(step(), 1..25)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let kit = Kit::sim().await;
            let mut talk = Talk::founded(&kit, "ann@example.com").await;
            let mut model = Model::default();
            for step in steps {
                take(&kit, &mut talk, &mut model, step).await;
            }
            assert_eq!(talk.heard(&kit).await, model.texts);
            let at = shown(&kit, &talk).await;
            assert_eq!((at.next_sequence - 1, at.finished), (model.texts.len() as u64, model.finished));
        });
    }
}
