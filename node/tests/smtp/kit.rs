//! A node's mailer in front of a server of the test.

use std::sync::Arc;

use ocmt::{
    config::{self, HumanDuration, SmtpTls},
    mail::NodeMailer,
};
use ocmt_actors::{Mail, MailBody, MailError, Mailer as _};
use ocmt_types::{IdGen, NoticeId, RandomIds, Secret, SystemClock};

use crate::server::{Server, Way, Wish};

pub(crate) const ADA: &str = "ada@example.org";
pub(crate) const USER: &str = "ocmt";
pub(crate) const PASSWORD: &str = "correct horse: \u{fc}";
/// As SASL's PLAIN has it.
pub(crate) const SHOWN: &str = "\0ocmt\0correct horse: \u{fc}";

pub(crate) struct Kit {
    pub(crate) server: Server,
    pub(crate) settings: config::Mail,
}

impl Kit {
    pub(crate) async fn start(wish: Wish) -> Self {
        let tls = match wish.way {
            Way::Implicit | Way::EndlessUnderTls => SmtpTls::Implicit,
            Way::Clear => SmtpTls::None,
            _ => SmtpTls::Starttls,
        };
        let signs_in = wish.password.is_some();
        let server = Server::start(wish).await;
        let mut settings = config::Mail {
            smtp: format!("localhost:{}", server.address.port()),
            smtp_tls: tls,
            smtp_ca_file: server.ca_file.clone(),
            smtp_timeout: HumanDuration::seconds(20),
            from: "OCMT <ocmt@sender.example>".to_owned(),
            ..config::Mail::default()
        };
        if signs_in {
            settings.smtp_user = USER.to_owned();
            settings.smtp_password_file = server.secret_file(&format!("{PASSWORD}\n"), 0o600);
        }
        Self { server, settings }
    }

    pub(crate) async fn of(way: Way) -> Self {
        Self::start(Wish { way, ..Wish::default() }).await
    }

    pub(crate) fn mailer(&self) -> NodeMailer {
        open(&self.settings).unwrap()
    }

    /// One letter by a mailer of its own.
    pub(crate) async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        self.mailer().hand_over(mail).await
    }

    /// Not now, and not to be given up.
    pub(crate) async fn is_kept(&self, mail: &Mail) -> String {
        match self.send(mail).await {
            Err(MailError::Later(why)) => why,
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) fn open(settings: &config::Mail) -> Result<NodeMailer, ocmt::mail::MailSetting> {
    let url = "https://node.example:7443".to_owned();
    NodeMailer::open(settings, url, false, Arc::new(SystemClock), Arc::new(RandomIds))
}

pub(crate) fn invite(to: &str, tenant: &str) -> Mail {
    let id: NoticeId = (&RandomIds as &dyn IdGen).id();
    let token = Secret::new("ocmt_inv_secret".to_owned());
    Mail { id, to: to.to_owned(), body: MailBody::Invite { tenant: tenant.to_owned(), token } }
}
