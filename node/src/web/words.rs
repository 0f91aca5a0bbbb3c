//! What pages say, in each language (`node/templates/words`).
//!
//! Which: the one that the address asks for (`?language=de`, kept in a cookie), else what the browser prefers.

use std::{collections::BTreeMap, fmt::Display, sync::LazyLock};

use axum::{extract::Request, middleware::Next, response::Response};
use http::{HeaderMap, Uri, header};
use ocmt_types::Timestamp;

use crate::edge::cookies;

const FILES: [(&str, &str, &str); 2] = [
    ("en", "English", include_str!("../../templates/words/en.toml")),
    ("de", "Deutsch", include_str!("../../templates/words/de.toml")),
];

static ALL: LazyLock<Vec<Words>> = LazyLock::new(|| FILES.iter().map(Words::read).collect());
/// Of a program without languages, which a test rules out.
static NONE: Words = Words { tag: "en", name: "English", said: BTreeMap::new() };

/// One language.
pub(super) struct Words {
    /// As HTML names it.
    pub(super) tag: &'static str,
    /// As it calls itself.
    pub(super) name: &'static str,
    said: BTreeMap<String, String>,
}

impl Words {
    fn read((tag, name, text): &(&'static str, &'static str, &'static str)) -> Self {
        let sections: BTreeMap<String, BTreeMap<String, String>> = toml::from_str(text)
            .inspect_err(|error| tracing::error!(%error, tag, "no words"))
            .unwrap_or_default();
        let said = sections.into_iter().flat_map(|(section, words)| {
            words.into_iter().map(move |(key, words)| (format!("{section}.{key}"), words))
        });
        Self { tag, name, said: said.collect() }
    }

    /// The words of this name.
    pub(super) fn say<'a>(&'a self, key: &'a str) -> &'a str {
        self.find(key).unwrap_or(key)
    }

    /// The same with something put where `{}` is.
    pub(super) fn put(&self, key: &str, what: impl Display) -> String {
        self.say(key).replacen("{}", &what.to_string(), 1)
    }

    /// The same of so many: of one there are words of their own.
    pub(super) fn count(&self, key: &str, many: u64) -> String {
        let one = format!("{key}_one");
        let key = if many == 1 && self.find(&one).is_some() { one.as_str() } else { key };
        self.put(key, many)
    }

    /// A time as people of this language write it, in UTC: a node does not know where its visitor is.
    pub(super) fn at(&self, time: Timestamp) -> String {
        let time = jiff::Timestamp::from_millisecond(time.millis()).unwrap_or_default();
        let time = time.to_zoned(jiff::tz::TimeZone::UTC);
        let month = usize::try_from(time.month()).unwrap_or_default().saturating_sub(1);
        let month = self.say("date.months").split(' ').nth(month).unwrap_or_default();
        let day = self.put("date.day", time.day());
        // a hand's clock and its zone stay on one line
        format!("{day} {month} {}, {}\u{a0}UTC", time.year(), time.strftime("%H:%M"))
    }

    /// The words of this name, if there are any.
    pub(super) fn find(&self, key: &str) -> Option<&str> {
        self.said.get(key).map(String::as_str)
    }

    fn first() -> &'static Self {
        ALL.first().unwrap_or(&NONE)
    }

    fn of(tag: &str) -> Option<&'static Self> {
        ALL.iter().find(|words| words.tag == tag)
    }

    /// For who asks.
    pub(super) fn wanted(uri: &Uri, headers: &HeaderMap) -> &'static Self {
        asked(uri)
            .or_else(|| cookies::one(headers, cookies::LANGUAGE).and_then(Self::of))
            .or_else(|| preferred(headers.get(header::ACCEPT_LANGUAGE)?.to_str().ok()?))
            .unwrap_or_else(Self::first)
    }

    /// The other languages.
    pub(super) fn others(&self) -> impl Iterator<Item = &'static Self> {
        let own = self.tag;
        ALL.iter().filter(move |words| words.tag != own)
    }
}

fn asked(uri: &Uri) -> Option<&'static Words> {
    uri.query()?.split('&').find_map(|pair| pair.strip_prefix("language=")).and_then(Words::of)
}

/// Of `de-AT, en;q=0.7` the one that weighs most; the first of several.
fn preferred(accepted: &str) -> Option<&'static Words> {
    let weighed = accepted.split(',').filter_map(|part| {
        let (tag, q) = part.split_once(';').unwrap_or((part, "q=1"));
        let q: f32 = q.trim().strip_prefix("q=")?.parse().ok()?;
        let words = Words::of(&tag.trim().split('-').next()?.to_ascii_lowercase())?;
        (q > 0.0 && q <= 1.0).then_some((q, words))
    });
    let best = weighed.reduce(|best, next| if next.0 > best.0 { next } else { best });
    best.map(|(_, words)| words)
}

/// Keeps the language that a page was asked for in.
pub(super) async fn keep(request: Request, next: Next) -> Response {
    let chosen = asked(request.uri()).map(|words| words.tag);
    let mut answer = next.run(request).await;
    if let Some((name, value)) = chosen.and_then(|tag| cookies::set(cookies::LANGUAGE, tag)) {
        answer.headers_mut().append(name, value);
    }
    answer
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    /// Names of words that are put together from a part in the code.
    const PUT_TOGETHER: [&str; 15] = [
        "reason.",
        "state.",
        "act.",
        "request.mine_",
        "recovery.unstopped_",
        "sent.",
        "container.is_",
        "awake.",
        "span.",
        "role.",
        "share.is_",
        "may.",
        "severity.",
        "slots.with_",
        "slots.is_",
    ];

    fn used() -> BTreeSet<String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folders = [
            root.join("templates"),
            root.join("src/web"),
            root.join("src/web/guardian"),
            root.join("src/web/own"),
            root.join("src/web/console"),
        ];
        let files = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
        let mut used = BTreeSet::new();
        for file in files.map(|file| file.unwrap().path()).filter(|path| path.is_file()) {
            let text = fs::read_to_string(&file).unwrap();
            for call in ["say(\"", "put(\"", "count(\""] {
                used.extend(text.split(call).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()));
            }
        }
        used
    }

    #[test]
    fn every_language_says_everything_that_a_page_asks_for_and_nothing_else() {
        let used = used();
        assert!(used.len() > 50);
        // errors have their English words from where they are made, and of some there are better ones
        let is_own = |key: &&String| !key.starts_with("reason.");
        let english: BTreeSet<&String> = ALL[0].said.keys().filter(is_own).collect();
        for words in ALL.iter() {
            let said = words.said.keys().filter(is_own);
            assert_eq!(said.collect::<BTreeSet<_>>(), english, "{}", words.tag);
            for key in &used {
                assert!(words.find(key).is_some_and(|words| !words.is_empty()), "{}: {key}", words.tag);
            }
            for (key, text) in &words.said {
                let of_one = key.strip_suffix("_one").is_some_and(|of_many| used.contains(of_many));
                let known =
                    used.contains(key) || of_one || PUT_TOGETHER.iter().any(|part| key.starts_with(part));
                assert!(known, "{}: nobody says {key}", words.tag);
                let holes = ALL[0].find(key).unwrap_or_default().matches("{}").count();
                assert_eq!(text.matches("{}").count(), holes, "{}: {key}", words.tag);
            }
        }
    }

    /// Names that scripts say, by the files that they stand in.
    fn said_by(scripts: &[&str]) -> BTreeSet<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("web/js/page");
        let mut names = BTreeSet::new();
        for script in scripts {
            let text = fs::read_to_string(folder.join(script)).unwrap();
            for call in ["say(\"", "Told(\"", "lock(\"", "return \""] {
                names.extend(text.split(call).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()));
            }
        }
        names
    }

    #[test]
    fn whatever_a_script_says_stands_in_the_pages_that_run_it() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
        let shares =
            |text: String, part: &str| text.replace(&format!("{{% include \"{part}\" %}}"), &read(part));
        let template =
            |name: &str| ["says_common.html", "says_cell.html"].into_iter().fold(read(name), shares);
        let shared = ["shown.js", "opening.js", "owner.js", "drill.js"];
        for (scripts, templates) in [
            (&["shown.js", "passkey.js"][..], &["says_passkey.html"][..]),
            (&shared, &["says.html"]),
            (&["request.js"], &["says.html", "guardian_request.html"]),
            (&["shown.js", "opening.js", "approve.js"], &["says_approve.html"]),
            (&["shown.js", "opening.js", "cell_ends.js", "log.js"], &["says_log.html"]),
            (&["shown.js", "opening.js", "cell_ends.js", "line.js", "terminal.js"], &["says_terminal.html"]),
            (&["shown.js", "audit.js"], &["says_audit.html"]),
            (&["accept.js"], &["says.html", "guardian_accept.html"]),
            (
                &[
                    "shown.js",
                    "opening.js",
                    "vault_open.js",
                    "vault_read.js",
                    "vault_write.js",
                    "vault_new.js",
                ],
                &["says_vault.html"],
            ),
            (&["vault.js"], &["says_vault.html", "vault.html"]),
            (&["vault_keys.js", "vault_present.js"], &["says_vault.html", "vault_keys.html"]),
            (&["vault_rotate.js", "vault_present.js"], &["says_vault.html", "vault_rotate.html"]),
        ] {
            let there: String = templates.iter().map(|name| template(name)).collect();
            let names = said_by(scripts);
            assert!(!names.is_empty(), "{scripts:?}");
            for name in names {
                assert!(there.contains(&format!("data-say=\"{name}\"")), "{templates:?} have no {name}");
            }
        }
    }

    #[test]
    fn times_and_counts_are_written_as_people_of_the_language_do() {
        let (en, de) = (Words::of("en").unwrap(), Words::of("de").unwrap());
        let time = Timestamp(1_709_251_200_000);
        assert_eq!(en.at(time), "1 March 2024, 00:00\u{a0}UTC");
        assert_eq!(de.at(time), "1. März 2024, 00:00\u{a0}UTC");
        let counted = |many| (en.count("awake.channel", many), de.count("awake.channel", many));
        assert_eq!(counted(1), ("1 open channel".to_owned(), "1 offener Kanal".to_owned()));
        assert_eq!(counted(2), ("2 open channels".to_owned(), "2 offene Kanäle".to_owned()));
        assert_eq!(en.count("awake.just_woken", 1), "it was woken just now");
        for words in [en, de] {
            assert_eq!(words.say("date.months").split(' ').count(), 12, "{}", words.tag);
        }
    }

    #[test]
    fn a_language_is_the_one_asked_for_then_the_one_kept_then_the_one_preferred() {
        let chosen = |path: &str, cookie: &str, accepted: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::COOKIE, format!("{}={cookie}", cookies::LANGUAGE).parse().unwrap());
            headers.insert(header::ACCEPT_LANGUAGE, accepted.parse().unwrap());
            Words::wanted(&path.parse().unwrap(), &headers).tag
        };
        assert_eq!(chosen("/", "", ""), "en");
        assert_eq!(chosen("/", "", "fr, de-AT;q=0.8, en;q=0.7"), "de");
        assert_eq!(chosen("/", "", "en-GB, de;q=0.9"), "en");
        assert_eq!(chosen("/", "", "de;q=0, en;q=x"), "en");
        assert_eq!(chosen("/", "en", "de"), "en");
        assert_eq!(chosen("/?language=de", "en", "en"), "de");
        assert_eq!(chosen("/?a=b&language=xx", "de", "en"), "de");
        assert_eq!(chosen("/", "<script>", "de"), "de");
    }
}
