//! What a browser shows of itself: a session in a cookie, and with a form the proof that it is of one of our pages.

use std::fmt::Write as _;

use ocmt::edge::csrf;
use ocmt_testkit::{
    TestNode,
    http::{Answer, Kept},
};

/// A browser without a jar: what it shows is said each time.
pub(super) struct Browser {
    line: Kept,
    /// Of the node's pages.
    origin: String,
}

/// What it shows with a form.
pub(super) struct Shows<'a> {
    pub(super) session: Option<&'a str>,
    pub(super) proof: &'a str,
    /// The page's, if it is not one of ours.
    pub(super) origin: Option<&'a str>,
}

impl Browser {
    pub(super) fn at(node: &TestNode) -> Self {
        let target = node.target().unwrap();
        Self { line: Kept::to(&target), origin: format!("https://{}", target.authority().unwrap()) }
    }

    /// Asks for a page with this session.
    pub(super) async fn looks(&mut self, path: &str, session: Option<&str>) -> Answer {
        let cookie = session.map(|session| format!("__Host-ocmt-session={session}"));
        let headers: Vec<(&str, &str)> = cookie.iter().map(|cookie| ("cookie", cookie.as_str())).collect();
        self.line.get(path, &headers).await.unwrap()
    }

    /// Sends a form.
    pub(super) async fn sends(
        &mut self,
        path: &str,
        fields: &[(&'static str, String)],
        shows: &Shows<'_>,
    ) -> Answer {
        let mut form = format!("csrf={}", shows.proof);
        for (name, value) in fields {
            form += &format!("&{name}={}", encoded(value));
        }
        let mut cookie = format!("__Host-ocmt-csrf={}", shows.proof);
        if let Some(session) = shows.session {
            cookie += &format!("; __Host-ocmt-session={session}");
        }
        let origin = shows.origin.unwrap_or(&self.origin);
        self.line.post(path, &[("origin", origin), ("cookie", &cookie)], &form).await.unwrap()
    }
}

/// What forms of a session's own pages send along.
pub(super) fn proof_of(session: &str) -> String {
    csrf::issue(session.as_bytes(), &mut rand::rng())
}

fn encoded(value: &str) -> String {
    let mut to = String::new();
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => to.push(char::from(byte)),
            _ => write!(to, "%{byte:02X}").unwrap(),
        }
    }
    to
}
