//! The part of a conversation that is in clear: up to the server's consent to TLS, and no byte further.
//!
//! What stands behind the consent was not said by whom the certificate names: it is refused, never kept for later
//! (CVE-2011-0411 and its kin). A server that offers no TLS gets no letter: the offer may have been taken out on the way.

use lettre::transport::smtp::extension::ClientId;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// The whole of it is a greeting, a list of extensions and a line.
const MOST: usize = 16 << 10;

/// Asks the server for TLS. The next byte of either side is TLS.
///
/// # Errors
/// What the server did instead; the text holds nothing that it said.
pub(super) async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    hello: &ClientId,
) -> Result<(), String> {
    let mut clear = Clear { stream, read: Vec::new(), most: MOST };
    clear.expect(220, "its greeting").await?;
    clear.say(&format!("EHLO {hello}\r\n")).await?;
    let extensions = clear.expect(250, "the answer to EHLO").await?;
    if !extensions.iter().any(|line| line.trim().eq_ignore_ascii_case("STARTTLS")) {
        return Err("offers no STARTTLS".to_owned());
    }
    clear.say("STARTTLS\r\n").await?;
    clear.expect(220, "the answer to STARTTLS").await?;
    Ok(())
}

struct Clear<'a, S> {
    stream: &'a mut S,
    /// Read and not looked at yet.
    read: Vec<u8>,
    /// What may still come.
    most: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Clear<'_, S> {
    async fn say(&mut self, line: &str) -> Result<(), String> {
        self.stream.write_all(line.as_bytes()).await.map_err(|error| format!("went away: {error}"))
    }

    /// The lines of one whole answer, behind which nothing was said.
    async fn expect(&mut self, code: u16, which: &str) -> Result<Vec<String>, String> {
        let mut lines = Vec::new();
        loop {
            let line = self.line().await?;
            let (its, rest) =
                line.split_at_checked(3).ok_or_else(|| format!("does not speak SMTP in {which}"))?;
            let its: u16 = its.parse().map_err(|_| format!("does not speak SMTP in {which}"))?;
            if its != code {
                return Err(format!("said {its} where {code} was expected, in {which}"));
            }
            let last = !rest.starts_with('-');
            lines.push(rest.get(1..).unwrap_or_default().to_owned());
            if last {
                break;
            }
        }
        if !self.read.is_empty() {
            return Err(format!(
                "said more than it was asked for, behind {which}: somebody may stand in between"
            ));
        }
        Ok(lines)
    }

    async fn line(&mut self) -> Result<String, String> {
        loop {
            if let Some(end) = self.read.windows(2).position(|two| two == b"\r\n") {
                let rest = self.read.split_off(end + 2);
                let line = std::mem::replace(&mut self.read, rest);
                return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            let mut chunk = [0; 1024];
            let read = self.stream.read(&mut chunk).await.map_err(|error| format!("went away: {error}"))?;
            if read == 0 {
                return Err("ended the connection in the middle of an answer".to_owned());
            }
            self.most = self.most.checked_sub(read).ok_or("says too much")?;
            self.read.extend_from_slice(&chunk[..read]);
        }
    }
}
