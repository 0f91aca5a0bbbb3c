//! Authorizations under way: made, then finished once or forgotten. Pure: no I/O, no clock.

use ocmt_crypto::{
    connect::{Answer, ProviderName},
    pkce::Verifier,
};
use ocmt_types::AuthorizationId;

use super::endpoints::Described;

/// Authorizations under way at the same time; the oldest goes.
pub(super) const MAX_FLOWS: usize = 8;
/// How long one may take, in milliseconds.
pub(super) const LIFETIME_MS: u64 = 10 * 60 * 1000;

/// One authorization under way.
pub(super) struct Flow {
    pub(super) authorization: AuthorizationId,
    pub(super) provider: ProviderName,
    pub(super) verifier: Verifier,
    pub(super) redirect: String,
    pub(super) scopes: Vec<String>,
    /// The provider as it was when the browser was sent there: the code goes nowhere else.
    pub(super) described: Described,
    /// By boot time in milliseconds.
    pub(super) ends_ms: u64,
}

/// Why what came back is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mixed {
    /// It says that it is from somebody else.
    Other,
    /// It does not say from whom it is, and this provider does.
    Silent,
    /// It says from whom it is, and the settings do not know what this provider calls itself.
    Unknown,
}

impl Mixed {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Other => "what came back is another provider's answer: nothing was redeemed, begin again",
            Self::Silent => "what came back does not say from which provider it is: nothing was redeemed",
            Self::Unknown => {
                "what came back names an issuer that the settings do not: set it with `ocmt oauth provider set --issuer`"
            }
        }
    }
}

impl Flow {
    /// Whether `answer` is this provider's own (RFC 9207).
    pub(super) fn judge(&self, answer: &Answer) -> Result<(), Mixed> {
        match (&answer.issuer, &self.described.issuer) {
            (Some(said), Some(known)) if said == known => Ok(()),
            (Some(_), Some(_)) => Err(Mixed::Other),
            (Some(_), None) => Err(Mixed::Unknown),
            (None, _) if self.described.names_itself => Err(Mixed::Silent),
            (None, _) => Ok(()),
        }
    }
}

/// Those of one unlock, oldest first.
#[derive(Default)]
pub(super) struct Flows(Vec<Flow>);

impl Flows {
    /// False for one that is known: what was begun is not begun as something else.
    #[must_use]
    pub(super) fn begin(&mut self, flow: Flow, now_ms: u64) -> bool {
        self.0.retain(|other| now_ms < other.ends_ms);
        if self.of(flow.authorization).is_some() {
            return false;
        }
        if self.0.len() >= MAX_FLOWS {
            self.0.remove(0);
        }
        self.0.push(flow);
        true
    }

    pub(super) fn of(&self, authorization: AuthorizationId) -> Option<&Flow> {
        self.0.iter().find(|flow| flow.authorization == authorization)
    }

    /// Takes one out: whatever becomes of it, it is not taken again.
    pub(super) fn take(&mut self, authorization: AuthorizationId, now_ms: u64) -> Option<Flow> {
        let at = self.0.iter().position(|flow| flow.authorization == authorization)?;
        let flow = self.0.remove(at);
        (now_ms < flow.ends_ms).then_some(flow)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ocmt_crypto::connect::Endpoints;
    use ocmt_types::Id as _;
    use zeroize::Zeroizing;

    use super::*;

    fn flow(n: u8) -> Flow {
        Flow {
            authorization: AuthorizationId::from_bytes([n; 16]),
            provider: ProviderName::new("git").unwrap(),
            verifier: Verifier::generate(&mut rand::rng()),
            redirect: "https://node.example/oauth/callback/git".to_owned(),
            scopes: Vec::new(),
            described: Described {
                endpoints: Endpoints {
                    authorization: "https://id.example/a".to_owned(),
                    token: "https://id.example/t".to_owned(),
                    revocation: None,
                },
                issuer: Some("https://id.example".to_owned()),
                names_itself: false,
                by_body: true,
            },
            ends_ms: 100,
        }
    }

    fn id(n: u8) -> AuthorizationId {
        AuthorizationId::from_bytes([n; 16])
    }

    #[test]
    fn a_flow_is_taken_once_and_not_after_its_end() {
        let mut flows = Flows::default();
        assert!(flows.begin(flow(1), 0) && flows.begin(flow(2), 0));
        assert!(!flows.begin(flow(1), 0), "begun twice");
        assert!(flows.take(id(3), 50).is_none());
        assert!(flows.take(id(1), 99).is_some());
        assert!(flows.take(id(1), 99).is_none(), "taken twice");
        assert!(flows.take(id(2), 100).is_none(), "over");
        assert!(flows.take(id(2), 50).is_none(), "what came late is gone");
    }

    #[test]
    fn of_too_many_flows_the_oldest_goes() {
        let mut flows = Flows::default();
        for n in 0..=8 {
            assert!(flows.begin(flow(n), 0));
        }
        assert!(flows.take(id(0), 1).is_none());
        assert!(flows.take(id(1), 1).is_some() && flows.take(id(8), 1).is_some());
    }

    #[test]
    fn an_answer_of_another_provider_is_told_by_its_issuer() {
        let answer = |issuer: Option<&str>| Answer {
            code: Zeroizing::new("c".to_owned()),
            issuer: issuer.map(str::to_owned),
        };
        let mut flow = flow(1);
        assert_eq!(flow.judge(&answer(None)), Ok(()));
        assert_eq!(flow.judge(&answer(Some("https://id.example"))), Ok(()));
        assert_eq!(flow.judge(&answer(Some("https://id.example/"))), Err(Mixed::Other));
        assert_eq!(flow.judge(&answer(Some(""))), Err(Mixed::Other));
        flow.described.names_itself = true;
        assert_eq!(flow.judge(&answer(None)), Err(Mixed::Silent));
        flow.described.issuer = None;
        assert_eq!(flow.judge(&answer(Some("https://id.example"))), Err(Mixed::Unknown));
    }
}
