//! A hardware token that answers challenges: a YubiKey's HMAC-SHA1, asked through a program of its maker.
//!
//! The program is started with its arguments and the challenge behind them in hexadecimal, as
//! `ykman otp calculate 2 CHALLENGE` and `ykchalresp -2 -x CHALLENGE` take it: no shell, nothing on its
//! standard input, a limit of time and of output. The challenge is no secret, it stands in the slot; the
//! answer is, and must be one line of hexadecimal and nothing else.

use std::{io, process::Stdio, time::Duration};

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use tokio::{io::AsyncReadExt as _, process::Command, time::timeout};
use zeroize::Zeroizing;

use crate::ClientError;

/// What is asked if nothing else is named: YubiKey Manager, for the key's second place.
pub const DEFAULT_COMMAND: &str = "ykman otp calculate 2";
/// Somebody may have to find the key, and to touch it.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest output that is read: a few times the longest answer.
const MOST: usize = 512;
/// Lawful answers, in bytes: HMAC-SHA1 has 20, longer hashes up to 64.
const ANSWER_LEN: std::ops::RangeInclusive<usize> = 20..=64;

/// The program that asks a token.
#[derive(Debug, Clone)]
pub struct Token {
    program: String,
    arguments: Vec<String>,
    patience: Duration,
}

impl Token {
    /// Takes a command apart into words, as a shell would; no shell runs it.
    ///
    /// # Errors
    /// [`ClientError::Usage`] if there is no program in it, or a quote has no end.
    pub fn parse(command: &str) -> Result<Self, ClientError> {
        let words = shlex::split(command).ok_or_else(|| wrong("a quote in it has no end"))?;
        let mut words = words.into_iter();
        let program = words.next().ok_or_else(|| wrong("it names no program"))?;
        Ok(Self { program, arguments: words.collect(), patience: PATIENCE })
    }

    /// The same with another limit of time.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Asks the token.
    ///
    /// # Errors
    /// [`ClientError::Usage`] saying what the program did instead of answering.
    pub async fn answer(&self, challenge: &[u8; 32]) -> Result<Zeroizing<Vec<u8>>, ClientError> {
        let output = timeout(self.patience, self.run(&HEXLOWER.encode(challenge))).await;
        let seconds = self.patience.as_secs();
        let late = || {
            self.failed(&format!(
                "gave no answer within {seconds} s: is the key plugged in, and was it touched?"
            ))
        };
        let answer = parse(&output.map_err(|_| late())??).ok_or_else(|| {
            self.failed("answered with something else than one line of 40 to 128 hexadecimal digits")
        })?;
        // such as `echo` gives: whoever reads the slot would have it
        if challenge.starts_with(&answer) || answer.starts_with(challenge) {
            return Err(self.failed("gave the challenge back: that is no secret"));
        }
        Ok(answer)
    }

    async fn run(&self, challenge: &str) -> Result<Zeroizing<Vec<u8>>, ClientError> {
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .arg(challenge)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // it tells its user to touch the key there
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => self.failed("is not there: install it, or name another with --hardware-command"),
                _ => self.failed(&format!("cannot be started: {error}")),
            })?;
        // room for all of it at once: a buffer that grows leaves pieces behind
        let mut output = Zeroizing::new(Vec::with_capacity(MOST * 2));
        if let Some(stdout) = child.stdout.take() {
            let most = u64::try_from(MOST + 1).unwrap_or(u64::MAX);
            let read = stdout.take(most).read_to_end(&mut output).await;
            read.map_err(|error| self.failed(&format!("cannot be read: {error}")))?;
        }
        if output.len() > MOST {
            return Err(self.failed("said far more than an answer"));
        }
        let ended = child.wait().await.map_err(|error| self.failed(&format!("was lost: {error}")))?;
        if ended.success() {
            return Ok(output);
        }
        Err(self
            .failed(&format!("failed ({ended}): is the key plugged in, and set up for challenge-response?")))
    }

    fn failed(&self, what: &str) -> ClientError {
        ClientError::Usage(format!("the hardware token was not asked: `{}` {what}", self.program))
    }
}

fn wrong(why: &str) -> ClientError {
    ClientError::Usage(format!("not a command for a hardware token: {why}"))
}

/// One line of hexadecimal, alone, of a lawful length.
fn parse(output: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let line = output.strip_suffix(b"\n").unwrap_or(output);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let answer = Zeroizing::new(HEXLOWER_PERMISSIVE.decode(line).ok()?);
    ANSWER_LEN.contains(&answer.len()).then_some(answer)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    // with programs that answer, fail, flood and hang: tests/e2e, `hardware`
    use super::*;

    const ANSWER: &str = "000102030405060708090a0b0c0d0e0f10111213";

    #[test]
    fn one_line_of_hexadecimal_is_an_answer_and_nothing_else_is() {
        for good in [ANSWER.to_owned(), format!("{ANSWER}\n"), format!("{}\r\n", ANSWER.to_uppercase())] {
            assert_eq!(HEXLOWER.encode(&parse(good.as_bytes()).unwrap()), ANSWER, "{good:?}");
        }
        assert_eq!(parse("ab".repeat(64).as_bytes()).unwrap().len(), 64);
        for bad in [
            String::new(),
            "\n".to_owned(),
            ANSWER[2..].to_owned(),
            "ab".repeat(65),
            format!("{ANSWER}0"),
            format!(" {ANSWER}"),
            format!("{ANSWER} "),
            format!("{ANSWER}\n\n"),
            format!("{ANSWER}\n{ANSWER}\n"),
            format!("0x{ANSWER}"),
            format!("Response: {ANSWER}"),
            // the alphabet of a one-time password
            "cbdefghijklnrtuvcbdefghijklnrtuvcbdefghi".to_owned(),
        ] {
            assert!(parse(bad.as_bytes()).is_none(), "{bad:?}");
        }
        assert!(parse(&[0xff; 40]).is_none());
    }

    #[test]
    fn a_command_is_taken_apart_as_a_shell_would_and_one_that_names_nothing_is_refused() {
        let token = Token::parse("/opt/ykman otp 'two words' '$(id)' \\;").unwrap();
        assert_eq!((token.program.as_str(), token.arguments.len()), ("/opt/ykman", 4));
        assert_eq!(token.arguments, ["otp", "two words", "$(id)", ";"]);
        for command in ["", "   ", "ykman 'otp"] {
            assert!(Token::parse(command).is_err(), "{command}");
        }
        assert!(Token::parse(DEFAULT_COMMAND).is_ok());
    }
}
