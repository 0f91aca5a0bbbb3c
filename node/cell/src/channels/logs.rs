//! A channel's stream of the workload's output: what is kept, and what comes if asked to follow.

use ocmt_crypto::channel::{CloseReason, Lane};
use tokio::sync::mpsc;

use super::{
    Surroundings,
    streams::{CHUNK, Output},
};

pub(super) async fn run(follow: bool, around: Surroundings, outputs: mpsc::Sender<Output>) {
    let logs = &around.logs;
    let _counted = follow.then(|| around.activity.log_follower());
    let mut at = 0;
    loop {
        let (bytes, next) = logs.read(at, CHUNK);
        at = next;
        if !bytes.is_empty() {
            if outputs.send(Output::Data(Lane::Main, bytes)).await.is_err() {
                return;
            }
            continue;
        }
        if !follow {
            break;
        }
        tokio::select! {
            () = logs.grown_past(at) => {}
            () = outputs.closed() => return,
        }
    }
    let _ = outputs.send(Output::Eof).await;
    let _ = outputs.send(Output::Close(CloseReason::Done)).await;
}
