//! What every page has around it: the language, the styles, the way to other pages, and what its browser runs.

use std::fmt::Display;

use ocmt_types::Timestamp;

use super::{
    assets::{self, Named, Script},
    words::Words,
};

/// Around one page.
#[derive(Clone, Copy)]
pub(super) struct Frame {
    words: &'static Words,
    script: Option<Script>,
    /// Whether ways to pages of one's own are shown.
    pub(super) signed_in: bool,
    /// Whether the page can be asked for again in another language.
    pub(super) switch: bool,
}

impl Frame {
    pub(super) fn new(words: &'static Words, switch: bool) -> Self {
        Self { words, script: None, signed_in: false, switch }
    }

    /// Of somebody whose session is whole.
    pub(super) fn of_user(self) -> Self {
        Self { signed_in: true, ..self }
    }

    /// Without the way to other languages.
    pub(super) fn unswitched(self) -> Self {
        Self { switch: false, ..self }
    }

    pub(super) fn running(self, script: Script) -> Self {
        Self { script: Some(script), ..self }
    }

    pub(super) fn tag(&self) -> &'static str {
        self.words.tag
    }

    pub(super) fn say<'a>(&self, key: &'a str) -> &'a str {
        self.words.say(key)
    }

    pub(super) fn put(&self, key: &str, what: impl Display) -> String {
        self.words.put(key, what)
    }

    pub(super) fn count(&self, key: &str, many: impl Into<u64>) -> String {
        self.words.count(key, many.into())
    }

    /// A number as people write it.
    pub(super) fn number(&self, number: f64) -> String {
        number.to_string().replace('.', self.say("date.point"))
    }

    /// A time as people write it.
    pub(super) fn at(&self, time: Timestamp) -> String {
        self.words.at(time)
    }

    pub(super) fn others(&self) -> Vec<&'static Words> {
        self.words.others().collect()
    }

    pub(super) fn styles(&self) -> Option<Named> {
        assets::styles()
    }

    pub(super) fn icon(&self) -> Option<Named> {
        assets::icon()
    }

    pub(super) fn start(&self) -> Option<Named> {
        self.script.and_then(Script::named)
    }

    pub(super) fn later(&self) -> Vec<Named> {
        self.script.map(Script::later).unwrap_or_default()
    }

    pub(super) fn imports(&self) -> Vec<Named> {
        self.script.map(Script::imports).unwrap_or_default()
    }
}
