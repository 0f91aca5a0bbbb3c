//! `[mail]`: how letters leave the node.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    ConfigError, HumanDuration, Mode,
    check::{between, refuse, within},
};
use crate::mail::sender;

/// `[mail]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mail {
    /// A folder that messages are written to, one `.eml` file each, for a mail server to pick up.
    /// This or `smtp` is needed outside `dev` and `demo`; there, links are printed too.
    pub spool: PathBuf,
    /// `HOST:PORT` of a mail server that takes messages by SMTP.
    pub smtp: String,
    /// TLS towards it. The host's name is checked, and nothing is sent without.
    pub smtp_tls: SmtpTls,
    /// Who signs in there; empty for nobody.
    pub smtp_user: String,
    /// A file with the password of `smtp_user` that nobody else may read.
    pub smtp_password_file: PathBuf,
    /// A PEM file of the authorities that its certificate may come from; empty for those that the machine trusts.
    pub smtp_ca_file: PathBuf,
    /// How long the server may take for one message, 1 s to 10 min.
    pub smtp_timeout: HumanDuration,
    /// Connections to it at once, 1 to 8.
    pub smtp_connections: u32,
    /// The sender, `name@example.org` or `Name <name@example.org>`.
    pub from: String,
}

/// How TLS begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SmtpTls {
    /// With the first byte, port 465 as a rule (RFC 8314).
    #[default]
    Implicit,
    /// After STARTTLS, port 587 as a rule. A server that does not offer it gets nothing.
    Starttls,
    /// Not at all: to this machine itself, in `dev` and `demo`.
    None,
}

impl Default for Mail {
    fn default() -> Self {
        Self {
            spool: PathBuf::new(),
            smtp: String::new(),
            smtp_tls: SmtpTls::Implicit,
            smtp_user: String::new(),
            smtp_password_file: PathBuf::new(),
            smtp_ca_file: PathBuf::new(),
            smtp_timeout: HumanDuration::seconds(60),
            smtp_connections: 4,
            from: String::new(),
        }
    }
}

impl Mail {
    /// Host (an address without brackets) and port of `smtp`.
    pub fn server(&self) -> Option<(String, u16)> {
        let (host, port) = self.smtp.rsplit_once(':')?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        // without brackets nobody knows where the address ends
        let host = bare.or((!host.contains(':')).then_some(host))?;
        let port = port.parse().ok().filter(|port| *port > 0)?;
        rustls_pki_types::ServerName::try_from(host).ok()?;
        Some((host.to_owned(), port))
    }
}

/// Refuses what no letter could leave by, or what others could read on the way.
pub(super) fn check(it: &Mail, mode: Mode) -> Result<(), ConfigError> {
    let has_spool = !it.spool.as_os_str().is_empty();
    if sender(&it.from).is_none() {
        return Err(refuse("mail.from", "is no address such as `ocmt@example.org`"));
    }
    if it.smtp.is_empty() {
        let named = [
            ("mail.smtp_user", !it.smtp_user.is_empty()),
            ("mail.smtp_password_file", !it.smtp_password_file.as_os_str().is_empty()),
            ("mail.smtp_ca_file", !it.smtp_ca_file.as_os_str().is_empty()),
        ];
        if let Some((key, _)) = named.into_iter().find(|(_, named)| *named) {
            return Err(refuse(key, "is of no use without mail.smtp"));
        }
        if !has_spool && !mode.is_relaxed() {
            let problem = "or mail.spool is needed outside dev and demo, or nobody gets a sign-in link";
            return Err(refuse("mail.smtp", problem));
        }
        return Ok(());
    }
    if has_spool {
        return Err(refuse("mail.spool", "and mail.smtp are both set: a letter leaves by one of them"));
    }
    smtp(it, mode)
}

fn smtp(it: &Mail, mode: Mode) -> Result<(), ConfigError> {
    let (host, _) = it.server().ok_or_else(|| refuse("mail.smtp", "must be `HOST:PORT`"))?;
    if it.from.is_empty() {
        return Err(refuse("mail.from", "is needed with mail.smtp"));
    }
    if it.smtp_user.is_empty() != it.smtp_password_file.as_os_str().is_empty() {
        return Err(refuse("mail.smtp_user", "and mail.smtp_password_file go together"));
    }
    // in SASL's PLAIN a zero byte ends the name
    if it.smtp_user.len() > 255 || it.smtp_user.chars().any(char::is_control) {
        return Err(refuse("mail.smtp_user", "is no name of a user"));
    }
    let is_here = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if it.smtp_tls == SmtpTls::None && !(is_here && mode.is_relaxed()) {
        return Err(refuse("mail.smtp_tls", "`none` is for this machine itself, in dev and demo"));
    }
    if it.smtp_tls == SmtpTls::None && !it.smtp_user.is_empty() {
        return Err(refuse("mail.smtp_tls", "`none` and a password do not go together"));
    }
    between("mail.smtp_timeout", it.smtp_timeout, Duration::from_secs(1)..=Duration::from_secs(600))?;
    within("mail.smtp_connections", it.smtp_connections, 1..=8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_smtp() -> Mail {
        Mail { smtp: "mail.example.org:465".into(), from: "ocmt@example.org".into(), ..Mail::default() }
    }

    fn refused(it: &Mail, mode: Mode) -> Option<&'static str> {
        match check(it, mode) {
            Err(ConfigError::Value { key, .. }) => Some(key),
            _ => None,
        }
    }

    #[test]
    fn outside_dev_and_demo_there_is_one_way_for_letters_and_no_more() {
        let spool = Mail { spool: "/var/spool/ocmt".into(), ..Mail::default() };
        assert_eq!(refused(&Mail::default(), Mode::Dev), None);
        assert_eq!(refused(&Mail::default(), Mode::Production), Some("mail.smtp"));
        assert_eq!(refused(&spool, Mode::Production), None);
        assert_eq!(refused(&by_smtp(), Mode::Production), None);
        let both = Mail { spool: spool.spool, ..by_smtp() };
        assert_eq!(refused(&both, Mode::Dev), Some("mail.spool"));
    }

    #[test]
    fn nothing_goes_in_clear_but_to_this_machine_in_dev() {
        for (host, mode, fine) in [
            ("localhost:25", Mode::Dev, true),
            ("127.0.0.1:25", Mode::Demo, true),
            ("[::1]:25", Mode::Dev, true),
            ("localhost:25", Mode::Production, false),
            ("mail.example.org:25", Mode::Dev, false),
            ("192.0.2.1:25", Mode::Dev, false),
        ] {
            let it = Mail { smtp: host.into(), smtp_tls: SmtpTls::None, ..by_smtp() };
            assert_eq!(refused(&it, mode).is_none(), fine, "{host} {mode:?}");
            let signed_in =
                Mail { smtp_user: "u".into(), smtp_password_file: "/etc/ocmt/mail.password".into(), ..it };
            assert_eq!(refused(&signed_in, mode), Some("mail.smtp_tls"), "{host}");
        }
    }

    #[test]
    fn each_setting_is_one_that_a_letter_can_leave_by() {
        for smtp in [
            "mail.example.org",
            ":465",
            "mail.example.org:0",
            "mail.example.org:x",
            "a b:25",
            "smtps://h:465",
        ] {
            assert_eq!(
                refused(&Mail { smtp: smtp.into(), ..by_smtp() }, Mode::Production),
                Some("mail.smtp"),
                "{smtp}"
            );
        }
        for from in ["", "ocmt", "a@b\r\nBcc: c@d", "a@b, c@d"] {
            assert_eq!(
                refused(&Mail { from: from.into(), ..by_smtp() }, Mode::Production),
                Some("mail.from"),
                "{from}"
            );
        }
        let no_password = Mail { smtp_user: "u".into(), ..by_smtp() };
        assert_eq!(refused(&no_password, Mode::Production), Some("mail.smtp_user"));
        let user = Mail { smtp_user: "a\0b".into(), smtp_password_file: "/f".into(), ..by_smtp() };
        assert_eq!(refused(&user, Mode::Production), Some("mail.smtp_user"));
        let file_alone = Mail { smtp_ca_file: "/f".into(), ..Mail::default() };
        assert_eq!(refused(&file_alone, Mode::Dev), Some("mail.smtp_ca_file"));
        for seconds in [0, 601] {
            let it = Mail { smtp_timeout: HumanDuration::seconds(seconds), ..by_smtp() };
            assert_eq!(refused(&it, Mode::Production), Some("mail.smtp_timeout"));
        }
        for connections in [0, 9] {
            let it = Mail { smtp_connections: connections, ..by_smtp() };
            assert_eq!(refused(&it, Mode::Production), Some("mail.smtp_connections"));
        }
    }

    #[test]
    fn a_server_is_a_host_and_a_port() {
        let server = |smtp: &str| Mail { smtp: smtp.into(), ..Mail::default() }.server();
        assert_eq!(server("mail.example.org:465"), Some(("mail.example.org".to_owned(), 465)));
        assert_eq!(server("[2001:db8::1]:25"), Some(("2001:db8::1".to_owned(), 25)));
        assert_eq!(server("2001:db8::1:25"), None);
    }
}
