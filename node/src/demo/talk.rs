//! HTTP over the sealed channel: what is said here only the cell can read.

use anyhow::{Context as _, bail};
use bytes::Bytes;
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{Method, Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use ocmt_client::{
    Client,
    channel::{ChannelStream, Endpoints},
    gateway::Wake,
};
use ocmt_crypto::channel::StreamKind;
use sha2::Sha256;

/// Asks the workload one thing over a channel of its own; the answer, and how the container was woken.
pub(super) async fn ask(
    client: &Client,
    to: &Endpoints,
    port: u16,
    path: &str,
    body: &[u8],
) -> anyhow::Result<(String, Wake)> {
    let channel = Box::pin(client.open_channel(to, StreamKind::Tcp { port })).await?;
    let wake = channel.wake().clone();
    let answer = exchange(channel.into_stream(), path, body).await?;
    Ok((answer, wake))
}

async fn exchange(stream: ChannelStream, path: &str, body: &[u8]) -> anyhow::Result<String> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(header::HOST, "workload")
        .header(header::CONNECTION, "close")
        .body(Full::new(Bytes::copy_from_slice(body)))?;
    let talk = async {
        let answer = sender.send_request(request).await.context("the workload did not answer")?;
        let status = answer.status();
        let text = answer.into_body().collect().await.context("the answer broke off")?.to_bytes();
        let text = String::from_utf8_lossy(&text).trim().to_owned();
        if !status.is_success() {
            bail!("the workload answered {status}: {text}");
        }
        Ok(text)
    };
    let (answer, connection) = tokio::join!(talk, connection);
    let answer = answer?;
    // all of the answer is here: how the connection ended says nothing more
    if let Err(error) = connection {
        tracing::debug!(%error, "connection to the workload ended");
    }
    Ok(answer)
}

/// Has the workload prove that it holds `secret`: a keyed digest of a fresh challenge, compared here.
pub(super) async fn prove(client: &Client, to: &Endpoints, port: u16, secret: &[u8]) -> anyhow::Result<()> {
    let challenge: [u8; 32] = rand::random();
    let (answer, _) = ask(client, to, port, "/prove", &challenge).await?;
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).context("the secret is no key")?;
    mac.update(&challenge);
    let answer = HEXLOWER.decode(answer.as_bytes()).context("the proof is not hexadecimal")?;
    if mac.verify_slice(&answer).is_err() {
        bail!("the proof is wrong: the workload has another secret");
    }
    Ok(())
}
