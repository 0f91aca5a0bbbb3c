//! A channel's stream to a port on the container's loopback: the workload's own protocol.

use std::{
    net::{Ipv4Addr, SocketAddr},
    pin::pin,
};

use bytes::BytesMut;
use ocmt_crypto::channel::{CloseReason, Lane};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
    time,
};

use super::streams::{CHUNK, CONNECT_WITHIN, Input, Output};

pub(super) async fn run(port: u16, inputs: mpsc::Receiver<Input>, outputs: mpsc::Sender<Output>) {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let reason = match time::timeout(CONNECT_WITHIN, TcpStream::connect(address)).await {
        Ok(Ok(connection)) => carry(connection, inputs, &outputs).await,
        Ok(Err(_)) | Err(_) => CloseReason::Refused,
    };
    // the driver is gone if its channel ended first
    let _ = outputs.send(Output::Close(reason)).await;
}

/// Carries both directions; each may end before the other.
async fn carry(
    connection: TcpStream,
    mut inputs: mpsc::Receiver<Input>,
    outputs: &mpsc::Sender<Output>,
) -> CloseReason {
    // Nagle's wait would cost each answer up to 40 ms
    let _ = connection.set_nodelay(true);
    let (from, to) = connection.into_split();
    let mut reading = pin!(read_all(from, outputs));
    let wrote = {
        let mut writing = pin!(write_all(&mut inputs, to));
        tokio::select! {
            reason = &mut reading => {
                if reason == CloseReason::Done {
                    writing.await;
                }
                return reason;
            }
            wrote = &mut writing => wrote,
        }
    };
    if wrote == Wrote::ToEof {
        return reading.await;
    }
    // the workload takes no more: what still comes is dropped, or the client would wait for its acks
    loop {
        tokio::select! {
            reason = &mut reading => return reason,
            input = inputs.recv() => if input.is_none() { return CloseReason::Failed },
        }
    }
}

#[derive(PartialEq, Eq)]
enum Wrote {
    ToEof,
    UntilRefused,
}

async fn write_all(inputs: &mut mpsc::Receiver<Input>, mut to: OwnedWriteHalf) -> Wrote {
    while let Some(input) = inputs.recv().await {
        match input {
            Input::Data(bytes) => {
                if to.write_all(&bytes).await.is_err() {
                    return Wrote::UntilRefused;
                }
            }
            Input::Eof => break,
            Input::Resize { .. } => {}
        }
    }
    // dropping the half shuts it down too; here the error is nobody's
    let _ = to.shutdown().await;
    Wrote::ToEof
}

async fn read_all(mut from: OwnedReadHalf, outputs: &mpsc::Sender<Output>) -> CloseReason {
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(CHUNK);
        match from.read_buf(&mut buffer).await {
            Ok(0) => {
                let _ = outputs.send(Output::Eof).await;
                return CloseReason::Done;
            }
            Ok(_) => {
                let data = Output::Data(Lane::Main, buffer.split().freeze());
                if outputs.send(data).await.is_err() {
                    return CloseReason::Done;
                }
            }
            Err(_) => return CloseReason::Failed,
        }
    }
}
