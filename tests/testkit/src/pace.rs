//! What a busy machine takes of a bound in real time: of the machine alone, never of the node that is measured, whose own
//! slowness is what a bound finds.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    pin::pin,
    time::Duration,
};

use anyhow::Context as _;
use ocmt_types::{Clock as _, SystemClock};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Between two looks at the machine, which are no load so.
const PAUSE: Duration = Duration::from_millis(20);
/// So often in each look a word goes to another thread and back, over the machine's own network: about as often as what is
/// measured has to wait for a processor.
const TURNS: usize = 20;
/// The machine excuses no more than this.
const MOST: Duration = Duration::from_secs(2);

/// Waits for `measured`; what came of it, and what the machine may have added to it: the longest that a look at the machine
/// took meanwhile, which asks no node, and at most two seconds. A bound of what is measured begins behind that.
///
/// # Errors
/// The machine has no network of its own.
pub async fn beside<T>(measured: impl Future<Output = T>) -> anyhow::Result<(T, Duration)> {
    let (mut measured, mut longest) = (pin!(measured), Duration::ZERO);
    let mut other = other_side().await.context("a word to another thread")?;
    loop {
        let began = SystemClock.boottime();
        let look = async {
            tokio::time::sleep(PAUSE).await; // why: between two looks; what it takes longer than that is the machine's too
            for _ in 0..TURNS {
                other.write_all(b"x").await?;
                other.read_u8().await?;
            }
            anyhow::Ok(())
        };
        let done = tokio::select! {
            biased;
            done = &mut measured => Some(done),
            looked = look => looked.map(|()| None)?,
        };
        longest = longest.max(SystemClock.boottime().saturating_sub(began).saturating_sub(PAUSE));
        if let Some(done) = done {
            return Ok((done, longest.min(MOST)));
        }
    }
}

/// A connection to a thread that says back what it hears, and ends with it.
async fn other_side() -> anyhow::Result<TcpStream> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    std::thread::Builder::new().name("pace".to_owned()).spawn(move || {
        let Ok((mut stream, _)) = listener.accept() else { return };
        let mut word = [0];
        while stream.read_exact(&mut word).is_ok() && stream.write_all(&word).is_ok() {}
    })?;
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_machine_excuses_what_it_takes_and_no_more_than_two_seconds() {
        let stalled = |time: Duration| async move {
            tokio::time::sleep(PAUSE).await; // why: what comes is in the middle of a measurement
            std::thread::sleep(time); // why: nothing else of this test goes on meanwhile, as on a machine that stands still
        };
        let short = Duration::from_millis(300);
        let ((), machine) = beside(stalled(short)).await.unwrap();
        assert!(machine >= short - PAUSE && machine <= MOST, "{machine:?}");
        let ((), machine) = beside(stalled(2 * MOST)).await.unwrap();
        assert_eq!(machine, MOST);
    }
}
