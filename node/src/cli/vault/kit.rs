//! A recovery kit: one page to print, with the backup key for people and as a QR code, and what to do with it. It is for a
//! drawer, and for somebody who has not thought of any of this for years.

use qrcode::{EcLevel, QrCode, render::svg};
use zeroize::Zeroizing;

/// What stands on the page beside the key.
pub(super) struct About<'a> {
    pub(super) owner: &'a str,
    pub(super) endpoint: &'a str,
    pub(super) vault: &'a str,
    /// The day, in words.
    pub(super) made: &'a str,
}

/// The page, whole: it loads nothing. None if the key does not fit into a QR code.
pub(super) fn page(key: &str, about: &About<'_>) -> Option<Zeroizing<String>> {
    // the code's own memory is not wiped: a program that shows a key has shown it
    let code = QrCode::with_error_correction_level(key, EcLevel::Q).ok()?;
    let picture = Zeroizing::new(code.render::<svg::Color<'_>>().min_dimensions(220, 220).build());
    // a declaration has no place in the middle of a page
    let picture = picture.split_once("?>").map_or(picture.as_str(), |(_, picture)| picture);
    let About { owner, endpoint, vault, made } = about;
    Some(Zeroizing::new(format!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Recovery kit</title>
<style>
body {{ font: 12pt/1.45 Georgia, serif; max-width: 17cm; margin: 1.5cm auto; color: #000; background: #fff }}
h1 {{ font-size: 20pt }}
code, .key {{ font-family: monospace }}
.key {{ font-size: 15pt; border: 2px solid #000; padding: .6em; word-spacing: .3em }}
td {{ padding: 0 1em .2em 0; vertical-align: top }}
@page {{ margin: 1.5cm }}
</style>
</head>
<body>
<h1>Recovery kit</h1>
<p><strong>Print this page, put it where you keep what must not be lost, and delete the file.</strong> Whoever has this page and
gets into the account opens the vault. Do not photograph it; do not keep it beside the computer.</p>
<table>
<tr><td>Vault of</td><td>{owner}</td></tr>
<tr><td>At</td><td>{endpoint}</td></tr>
<tr><td>Vault</td><td>{vault}</td></tr>
<tr><td>Made</td><td>{made}</td></tr>
</table>
<h2>The backup key</h2>
<p class="key">{key}</p>
{picture}
<p>Both are the same key. The last group is a check: a mistyped key is refused and does no harm.</p>
<h2>If the passphrase is lost</h2>
<ol>
<li>Sign in: <code>ocmt login --endpoint {endpoint} --email {owner}</code></li>
<li>Set a new passphrase: <code>ocmt vault passphrase --backup-key</code>. It asks for the key above. If it
says that this is waited for: run it again then, on the same device.</li>
<li>Make a new kit: <code>ocmt vault backup-key --kit FILE</code>. This one opens nothing any more then.</li>
</ol>
<p>If this page is lost or somebody has seen it: make a new kit at once.</p>
</body>
</html>
"#,
        owner = escaped(owner),
        endpoint = escaped(endpoint),
        vault = escaped(vault),
        made = escaped(made),
        key = escaped(key),
    )))
}

/// Text that stands in a page as text.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const KEY: &str = "ABCD-EFGH-IJKL-MNOP-QRST-UVWX-YZ23-4567-ABCD-EFGH-IJKL-MNOP-QRST-UVWX";

    fn about(owner: &str) -> About<'_> {
        About { owner, endpoint: "https://vault.example", vault: "v", made: "2026-11-29" }
    }

    #[test]
    fn the_page_holds_the_key_twice_and_loads_nothing() {
        let page = page(KEY, &about("ada@example.org")).unwrap();
        assert!(page.contains(&format!("<p class=\"key\">{KEY}</p>")));
        assert!(page.contains("<svg") && !page.contains("<?xml"), "the code stands in the page");
        for loads in ["src=", "<script", "<link", "url("] {
            assert!(!page.contains(loads), "{loads}");
        }
    }

    #[test]
    fn a_name_cannot_write_into_the_page() {
        let page = page(KEY, &about("\"><script>alert(1)</script>@example.org")).unwrap();
        assert!(!page.contains("<script") && page.contains("&lt;script&gt;"));
    }
}
