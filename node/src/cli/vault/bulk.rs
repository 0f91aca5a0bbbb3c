//! Many secrets at once, from a JSON or .env file.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context as _, bail};
use ocmt_client::ClientError;
use serde::Deserialize;
use zeroize::Zeroizing;

/// Most of a file with secrets, in bytes.
const MOST: u64 = 64 << 20;

/// Secrets by name.
pub(super) type Secrets = BTreeMap<String, Zeroizing<Vec<u8>>>;

/// A value in JSON: text, or bytes that are no text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Value {
    Text(String),
    Bytes { base64: String },
}

impl Drop for Value {
    fn drop(&mut self) {
        let (Self::Text(text) | Self::Bytes { base64: text }) = self;
        drop(Zeroizing::new(std::mem::take(text)));
    }
}

/// Reads secrets: JSON if the name ends in `.json`, else lines of `NAME=VALUE`.
pub(super) fn read(path: &Path) -> anyhow::Result<Secrets> {
    use std::io::Read as _;
    let file = std::fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let size = file.metadata()?.len();
    if size > MOST {
        bail!("{} is larger than 64 MiB", path.display());
    }
    // room for all of it at once: a buffer that grows leaves pieces behind
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(size)? + 1));
    file.take(MOST).read_to_end(&mut bytes)?;
    let text = std::str::from_utf8(&bytes).with_context(|| format!("{} is not text", path.display()))?;
    let is_json = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    let secrets = if is_json { json(text) } else { env(text) };
    Ok(secrets
        .map_err(|why| ClientError::Usage(format!("{}: {why}; nothing was written", path.display())))?)
}

/// An object of names and values. The error shows no value.
fn json(text: &str) -> Result<Secrets, String> {
    let values: BTreeMap<String, Value> = serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        format!("line {line}, column {column}: it is no object of names and texts (or {{\"base64\": …}})")
    })?;
    let one = |(name, value): (String, Value)| {
        let bytes = match &value {
            Value::Text(text) => text.as_bytes().to_vec(),
            Value::Bytes { base64 } => data_encoding::BASE64
                .decode(base64.as_bytes())
                .map_err(|_| format!("the value of `{name}` is no base64"))?,
        };
        Ok((name, Zeroizing::new(bytes)))
    };
    values.into_iter().map(one).collect()
}

/// Lines of `NAME=VALUE`: comments, `export`, single quotes as they are, double quotes with \n, \" and \\. Nothing is
/// substituted.
fn env(text: &str) -> Result<Secrets, String> {
    let mut secrets = Secrets::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let wrong = |what: &str| format!("line {}: {what}", at + 1);
        let (name, value) = line.split_once('=').ok_or_else(|| wrong("it is not NAME=VALUE"))?;
        let (name, value) =
            (name.trim(), unquoted(value.trim()).ok_or_else(|| wrong("a quote is not closed"))?);
        if name.is_empty() {
            return Err(wrong("it has no name"));
        }
        if secrets.insert(name.to_owned(), value).is_some() {
            return Err(wrong("its name is there twice"));
        }
    }
    Ok(secrets)
}

fn unquoted(value: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(value.len()));
    if let Some(rest) = value.strip_prefix('\'') {
        let (inner, after) = rest.split_once('\'')?;
        bytes.extend_from_slice(inner.as_bytes());
        return is_comment(after).then_some(bytes);
    }
    let Some(rest) = value.strip_prefix('"') else {
        let end = value.find(" #").unwrap_or(value.len());
        bytes.extend_from_slice(value.get(..end)?.trim_end().as_bytes());
        return Some(bytes);
    };
    let mut chars = rest.char_indices();
    while let Some((at, char)) = chars.next() {
        let char = match char {
            '"' => return is_comment(rest.get(at + 1..)?).then_some(bytes),
            '\\' => match chars.next()?.1 {
                'n' => '\n',
                other => other,
            },
            other => other,
        };
        bytes.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
    }
    None
}

fn is_comment(rest: &str) -> bool {
    let rest = rest.trim();
    rest.is_empty() || rest.starts_with('#')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn text<'s>(secrets: &'s Secrets, name: &str) -> &'s str {
        std::str::from_utf8(&secrets[name]).unwrap()
    }

    #[test]
    fn lines_of_an_env_file_are_taken_as_they_are_written() {
        let secrets = env(
            "# a comment\n\nA=plain value # said\nexport B='as $IT \\n is # here'\nC=\"two\\nlines \\\"quoted\\\" $X\" # c\nD=\nE=a=b#c\n",
        )
        .unwrap();
        assert_eq!(text(&secrets, "A"), "plain value");
        assert_eq!(text(&secrets, "B"), "as $IT \\n is # here");
        assert_eq!(text(&secrets, "C"), "two\nlines \"quoted\" $X");
        assert_eq!((text(&secrets, "D"), text(&secrets, "E")), ("", "a=b#c"));
        for (bad, line) in [("A", 1), ("A=1\nA=2", 2), ("=x", 1), ("A='x", 1), ("A=\"x", 1), ("A='x'y", 1)] {
            assert!(env(bad).unwrap_err().starts_with(&format!("line {line}: ")), "{bad}");
        }
    }

    #[test]
    fn json_is_read_and_errors_show_no_value() {
        let secrets = json(r#"{"a":"text","b":{"base64":"/wA="}}"#).unwrap();
        assert_eq!((text(&secrets, "a"), secrets["b"].as_slice()), ("text", [255, 0].as_slice()));
        for bad in
            [r#"{"a":1}"#, r#"["top secret"]"#, r#"{"a":"top secret""#, r#"{"a":{"base64":"top secret"}}"#]
        {
            let error = json(bad).unwrap_err();
            assert!(!error.contains("top secret"), "{error}");
        }
    }
}
