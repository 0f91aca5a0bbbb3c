//! Runs one channel: frames of whichever transport is attached, the crypto's state machine, the
//! stream. Every queue is bounded, and each direction waits for its own queue alone:
//!
//! - no frame is read from the client while its last input waits for the stream, so that its acks
//!   stop and its window fills; but while output waits for the client's acks, frames are read on, up
//!   to [`MAX_AHEAD`], because the acks stand behind them (with `cat` as the stream, both sides would
//!   wait for each other for ever: tried);
//! - nothing is read from the stream while frames wait for the transport, or while the channel's
//!   buffer of unacknowledged ciphertext is full.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use ocmt_crypto::{
    CryptoError,
    channel::{CellChannel, CloseReason, Event, MAX_FRAME, Message, Step},
};
use tokio::{
    sync::{mpsc, watch},
    time::{self, Sleep},
};
use tokio_stream::StreamExt as _;

use super::{
    Ending, RESUME_WITHIN, Surroundings, Transport,
    streams::{Input, InputQueue, Output, Stream},
};

/// Frames that may wait for a transport before no more are taken from the client.
const MAX_BACKLOG: usize = 256;
/// Input bytes that may wait for the stream. A client that reads what it is sent has at most two
/// windows of 1 MiB under way before its acks.
const MAX_AHEAD: usize = 4 * 1024 * 1024;
/// How long the goodbye of a lock may wait for a slow transport.
const GOODBYE_WITHIN: Duration = Duration::from_millis(500);

pub(super) struct Driver {
    channel: CellChannel,
    transport: Option<Transport>,
    attached: mpsc::Receiver<(Bytes, Transport)>,
    around: Surroundings,
    locking: watch::Receiver<bool>,
    stream: Option<Stream>,
    /// frames for the transport; worthless once it is lost, the channel has its own copies
    backlog: VecDeque<Bytes>,
    to_stream: InputQueue,
    from_stream: Option<Output>,
    /// runs while nobody is attached, and from the Close on
    expiry: Option<Pin<Box<Sleep>>>,
    /// the Close is said: what is left is the client's acknowledgement
    closed: Arc<AtomicBool>,
    ended: bool,
}

/// What happens next; at most one of them, so that nothing is lost when others wait.
enum Next {
    Locking,
    Attach(Bytes, Transport),
    Frame(Bytes),
    TransportLost,
    TransportTakes,
    StreamTakes,
    StreamFull,
    Output(Output),
    Expired,
}

impl Driver {
    pub(super) fn new(
        channel: CellChannel,
        accept: Bytes,
        transport: Transport,
        attached: mpsc::Receiver<(Bytes, Transport)>,
        around: Surroundings,
        locking: watch::Receiver<bool>,
    ) -> Self {
        let driver = Self {
            channel,
            transport: Some(transport),
            attached,
            around,
            locking,
            stream: None,
            backlog: VecDeque::from([accept]),
            to_stream: InputQueue::default(),
            from_stream: None,
            expiry: None,
            closed: Arc::default(),
            ended: false,
        };
        // the Hello
        driver.around.activity.frame_in(driver.now_ms());
        driver
    }

    /// Whether it has said its Close, from then on.
    pub(super) fn closed(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.closed)
    }

    pub(super) async fn run(mut self) {
        loop {
            self.pass_output_on();
            if self.ended
                || (self.channel.is_finished() && (self.backlog.is_empty() || self.transport.is_none()))
            {
                return;
            }
            match self.next().await {
                Next::Locking => return self.say_goodbye().await,
                Next::Attach(resume, transport) => self.attach(&resume, transport),
                Next::Frame(frame) => self.take_frame(&frame),
                Next::TransportLost => self.detach(),
                Next::TransportTakes => self.send_frame(),
                Next::StreamTakes => self.give_input(),
                Next::StreamFull => self.to_stream.clear(),
                Next::Output(output) => self.from_stream = Some(output),
                Next::Expired => return,
            }
        }
    }

    /// Waits for whatever can go on. Cancel-safe in every branch.
    async fn next(&mut self) -> Next {
        let Self { transport, attached, locking, stream, backlog, to_stream, from_stream, expiry, .. } = self;
        // what is still here waits for room in the window: the client's acks
        let waits_for_acks = from_stream.is_some() && to_stream.bytes() < MAX_AHEAD;
        let takes_frames = (to_stream.is_empty() || waits_for_acks) && backlog.len() < MAX_BACKLOG;
        let takes_output = from_stream.is_none() && backlog.is_empty();
        let (inbound, outbound) = match transport {
            Some(Transport { inbound, outbound }) => (Some(inbound), Some(&*outbound)),
            None => (None, None),
        };
        let (input, output) = match stream {
            Some(stream) => (Some(&stream.input), Some(&mut stream.output)),
            None => (None, None),
        };
        tokio::select! {
            biased;
            _ = locking.wait_for(|locking| *locking) => Next::Locking,
            Some((resume, transport)) = attached.recv() => Next::Attach(resume, transport),
            permit = ready(outbound.filter(|_| !backlog.is_empty())) => if permit { Next::TransportTakes } else { Next::TransportLost },
            permit = ready(input.filter(|_| !to_stream.is_empty())) => if permit { Next::StreamTakes } else { Next::StreamFull },
            frame = maybe(inbound.filter(|_| takes_frames).map(|inbound| inbound.next())) => frame.map_or(Next::TransportLost, Next::Frame),
            output = maybe(output.filter(|_| takes_output).map(mpsc::Receiver::recv)) => Next::Output(output.unwrap_or(Output::Close(CloseReason::Failed))),
            () = maybe(expiry.as_mut()) => Next::Expired,
        }
    }

    fn take_frame(&mut self, frame: &[u8]) {
        self.around.activity.frame_in(self.now_ms());
        if frame.len() > MAX_FRAME {
            return self.drop_transport(Ending::BrokenFrame);
        }
        match self.channel.feed(frame) {
            Ok(step) => self.take_step(step),
            Err(CryptoError::ChannelEnded) => self.ended = true,
            Err(_) => self.drop_transport(Ending::BrokenFrame),
        }
    }

    /// Another transport goes on with this channel, if its Resume is the client's own. Otherwise the
    /// transport that is attached stays.
    fn attach(&mut self, resume: &[u8], transport: Transport) {
        self.around.activity.frame_in(self.now_ms());
        match self.channel.feed(resume) {
            Ok(step) => {
                self.transport = Some(transport);
                self.backlog.clear();
                if !self.closed.load(Ordering::Relaxed) {
                    self.expiry = None;
                }
                self.take_step(step);
            }
            Err(error) => {
                self.ended |= error == CryptoError::ChannelEnded;
                // a transport whose queue is full has not even begun
                let _ = transport.outbound.try_send(Err(Ending::Refused));
            }
        }
    }

    fn take_step(&mut self, step: Step) {
        self.backlog.extend(step.frames.into_iter().map(Bytes::from));
        for event in step.events {
            match event {
                Event::Open(kind) => self.stream = Some(Stream::connect(kind, &self.around)),
                Event::Message(Message::Data(_, bytes)) => self.to_stream.push(Input::Data(bytes)),
                Event::Message(Message::Eof) => self.to_stream.push(Input::Eof),
                Event::Message(Message::Resize { rows, cols }) => {
                    self.to_stream.push(Input::Resize { rows, cols });
                }
                Event::Message(Message::Close(_)) => self.stream = None,
                Event::Message(Message::Exit(_)) | Event::Resumed => {}
            }
        }
        if self.stream.is_none() {
            self.to_stream.clear();
        }
    }

    /// Seals what the stream gave, if the channel has room for it.
    fn pass_output_on(&mut self) {
        let Some(output) = self.from_stream.take() else {
            return;
        };
        let sealed = match &output {
            Output::Data(lane, bytes) if bytes.len() <= self.channel.capacity() => {
                self.channel.send_data(*lane, bytes)
            }
            Output::Data(..) => Err(CryptoError::WindowFull),
            Output::Eof => self.channel.send(&Message::Eof),
            Output::Exit(code) => self.channel.send(&Message::Exit(*code)),
            Output::Close(reason) => self.channel.send(&Message::Close(*reason)),
        };
        match sealed {
            Ok(frames) => {
                if self.transport.is_some() {
                    self.backlog.extend(frames.into_iter().map(Bytes::from));
                }
                if matches!(output, Output::Close(_)) {
                    self.closed.store(true, Ordering::Relaxed);
                    self.stream = None;
                    self.to_stream.clear();
                    self.expiry.get_or_insert_with(|| Box::pin(time::sleep(RESUME_WITHIN)));
                }
            }
            Err(CryptoError::WindowFull) => self.from_stream = Some(output),
            Err(_) => self.ended = true,
        }
    }

    fn send_frame(&mut self) {
        let now_ms = self.now_ms();
        let (Some(transport), Some(frame)) = (&self.transport, self.backlog.pop_front()) else {
            return;
        };
        // this is the only sender, and it was told that there is room
        if transport.outbound.try_send(Ok(frame)).is_err() {
            return self.detach();
        }
        self.around.activity.frame_out(now_ms);
    }

    fn give_input(&mut self) {
        if let (Some(stream), Some(input)) = (&self.stream, self.to_stream.pop()) {
            // as above; a stream that has just ended says so itself
            let _ = stream.input.try_send(input);
        }
    }

    fn drop_transport(&mut self, ending: Ending) {
        if let Some(transport) = &self.transport {
            let _ = transport.outbound.try_send(Err(ending));
        }
        self.detach();
    }

    fn detach(&mut self) {
        self.channel.detach();
        self.transport = None;
        self.backlog.clear();
        self.expiry.get_or_insert_with(|| Box::pin(time::sleep(RESUME_WITHIN)));
    }

    /// Tells the client that the cell locks, if it listens.
    async fn say_goodbye(mut self) {
        self.stream = None;
        let Some(transport) = self.transport.take() else {
            return;
        };
        // before the client has confirmed there is nothing to say under the channel's keys
        let goodbye = self.channel.send(&Message::Close(CloseReason::Locked)).unwrap_or_default();
        let frames = self.backlog.drain(..).chain(goodbye.into_iter().map(Bytes::from));
        let telling = async {
            for frame in frames {
                if transport.outbound.send(Ok(frame)).await.is_err() {
                    return;
                }
            }
            let _ = transport.outbound.send(Err(Ending::Locked)).await;
        };
        let _ = time::timeout(GOODBYE_WITHIN, telling).await;
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.around.clock.boottime().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Whether a queue has room now; `false` when nobody takes from it any more. Never, without one.
async fn ready<T>(queue: Option<&mpsc::Sender<T>>) -> bool {
    match queue {
        Some(queue) => queue.reserve().await.is_ok(),
        None => std::future::pending().await,
    }
}

/// The future, or never.
async fn maybe<F: Future>(future: Option<F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}
