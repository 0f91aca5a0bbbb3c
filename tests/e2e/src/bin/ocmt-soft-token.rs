//! A hardware token in software: answers as a YubiKey does through `ykman` or `ykchalresp`.
//!
//! `ocmt-soft-token KEYFILE [MODE] CHALLENGE` prints HMAC-SHA1 of the challenge under the key in the file,
//! both in hexadecimal. A mode makes it fail as a program may.

use std::{fs, io::Write as _, process::ExitCode, thread};

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (Some(file), Some(challenge)) = (arguments.first(), arguments.last()) else {
        anyhow::bail!("ocmt-soft-token KEYFILE [MODE] CHALLENGE");
    };
    let key = HEXLOWER.decode(fs::read_to_string(file)?.trim().as_bytes())?;
    let mut mac = Hmac::<Sha1>::new_from_slice(&key)?;
    mac.update(&HEXLOWER.decode(challenge.as_bytes())?);
    let answer = HEXLOWER.encode(&mac.finalize().into_bytes());
    let mut out = std::io::stdout().lock();
    let mode = arguments.get(1).filter(|_| arguments.len() > 2);
    match mode.map(String::as_str) {
        None => writeln!(out, "{answer}")?,
        Some("arguments") => fs::write(format!("{file}.arguments"), arguments.join("\n"))
            .and_then(|()| writeln!(out, "{answer}"))?,
        Some("echo") => writeln!(out, "{challenge}")?,
        Some("fail") => {
            writeln!(out, "{answer}")?;
            return Ok(ExitCode::from(3));
        }
        Some("flood") => loop {
            writeln!(out, "{answer}")?;
        },
        // no test waits for this: it plays a token that nobody touches, and is ended by who asked it
        Some("hang") => loop {
            thread::park();
        },
        Some("fickle") => {
            let n = fs::read_to_string(format!("{file}.n")).unwrap_or_default().len() + 1;
            fs::write(format!("{file}.n"), "x".repeat(n))?;
            writeln!(out, "{n:040x}")?;
        }
        Some(other) => anyhow::bail!("no mode {other}"),
    }
    Ok(ExitCode::SUCCESS)
}
