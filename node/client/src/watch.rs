//! Watches: events of a node as they come, across cut connections and moves of the tenant.

use std::time::Duration;

use ocmt_types::{Clock as _, SystemClock};
use tonic::{Code, Status, Streaming};

use crate::ClientError;

/// Pauses before watching again, up to the longest; so often in a row without a stream that stood.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
const TRIES: u32 = 10;

/// Something that can be watched.
pub(crate) trait Source {
    /// What the node sends.
    type Message;
    /// Opens the stream, behind the event of this token; from now on for an empty one.
    fn open(
        &self,
        resume_token: String,
    ) -> impl Future<Output = Result<Streaming<Self::Message>, Status>> + Send;
    /// Where to go on behind it.
    fn token(message: &Self::Message) -> &str;
}

/// A watch; dropping it ends it.
pub(crate) struct Watch<S: Source> {
    source: S,
    resume_token: String,
    stream: Option<Streaming<S::Message>>,
    /// Since when the stream stands, by the clock that does not jump.
    since: Duration,
}

impl<S: Source> Watch<S> {
    /// It is watched already when this answers.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `OUT_OF_RANGE` for a token too old.
    pub(crate) async fn start(source: S, resume_token: &str) -> Result<Self, ClientError> {
        let mut watch =
            Self { source, resume_token: resume_token.to_owned(), stream: None, since: Duration::ZERO };
        watch.begin().await?;
        Ok(watch)
    }

    /// The next event. A connection that breaks is made again from the event before.
    ///
    /// # Errors
    /// [`ClientError::Refused`]: `OUT_OF_RANGE` if this reader fell too far behind, else what ended it.
    pub(crate) async fn next(&mut self) -> Result<S::Message, ClientError> {
        let (mut tries, (mut pause, longest)) = (0, PAUSES);
        loop {
            let error = match self.one().await {
                Ok(Some(message)) => {
                    S::token(&message).clone_into(&mut self.resume_token);
                    return Ok(message);
                }
                Ok(None) => None,
                Err(status) => Some(status),
            };
            let stood = self.stream.take().map(|_| SystemClock.boottime().saturating_sub(self.since));
            if stood.is_some_and(|stood| stood > longest) {
                // a quiet watch is cut now and then: that is no failure
                (tries, pause) = (0, PAUSES.0);
            }
            tries += 1;
            let may_pass =
                |code| matches!(code, Code::Unavailable | Code::Cancelled | Code::Unknown | Code::Aborted);
            if let Some(status) = error.filter(|status| !may_pass(status.code()) || tries > TRIES) {
                return Err(status.into());
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
    }

    async fn one(&mut self) -> Result<Option<S::Message>, Status> {
        if self.stream.is_none() {
            self.begin().await?;
        }
        match &mut self.stream {
            Some(stream) => stream.message().await,
            None => Ok(None),
        }
    }

    /// Opens the stream; one from now on has begun when it says where.
    async fn begin(&mut self) -> Result<(), Status> {
        let mut stream = self.source.open(self.resume_token.clone()).await?;
        if self.resume_token.is_empty() {
            let begun = stream.message().await?;
            let begun = begun.ok_or_else(|| Status::unavailable("the watch ended as it began"))?;
            S::token(&begun).clone_into(&mut self.resume_token);
        }
        self.since = SystemClock.boottime();
        self.stream = Some(stream);
        Ok(())
    }
}
