//! Letters about what somebody has to look at now: a program that was stopped, what becomes of the audit, what ends.

/// Subject and first lines of such a notice; none of another kind.
pub(super) fn words(kind: &str) -> Option<(&'static str, &'static str)> {
    Some(match kind {
        "program.stopped" => (
            "A program of yours read unusually much and was stopped",
            "It reads nothing more. If you know why it read so much, let it go on: `ocmt share program release` with the token \
             below.\n\nIf you do not, somebody may have its token. End it with `ocmt share program revoke`, and change what it \
             could read where it is used.",
        ),
        "audit.retention" => (
            "How long the audit of your tenant is kept was set",
            "Somebody, hopefully you or another owner, said how long records are kept. What is older is pruned for good, and \
             nothing before the time below. If it shall not be so, say otherwise until then: `ocmt audit retention set`. Who set it \
             stands in `ocmt audit query --action Retention`.",
        ),
        "audit.stream_down" => (
            "The audit of your tenant does not reach its receiver",
            "Nothing of it is lost: records wait, and are tried again at least once an hour. Put the receiver right, or lead the \
             stream elsewhere: `ocmt audit stream set`. `ocmt audit stream show` says how far it has come. What the retention \
             of the audit prunes meanwhile is not sent any more.",
        ),
        "session.new_place" => (
            "Somebody signed in as you from where you were not lately",
            "If it was you, with another device or from another network, nothing is to be done; of the same place you hear no more \
             for 30 days.\n\nIf it was not, end the session: `ocmt sessions ls` shows it, `ocmt sessions revoke` ends it, \
             `ocmt sessions revoke-others` ends all but your own, and the page /app/sessions does both. Whoever it was can read \
             your mail or holds your passkey: see to that, and set up a second factor (`ocmt mfa enrol`).",
        ),
        "api_key.ends" => (
            "An API key of yours ends soon",
            "What signs in with it stands still from then on. Make another one in time, `ocmt api-key create` with the same scopes, \
             put it where the old one is, and end that: `ocmt api-key revoke`. A key that is used no more may just end.",
        ),
        "program.ends" => (
            "A program token of yours ends soon",
            "What reads your vault with it stands still from then on. Make another one in time, `ocmt share program create`, put it where \
             the old one is, and end that: `ocmt share program revoke`. A token that is used no more may just end.",
        ),
        "share.taken_back" => (
            "Somebody took back a share of a secret of yours",
            "Whom you had made an administrator of it did: see below. Nothing is read by that share any more. Its keys may have been \
             kept: write the secrets under fresh ones with `ocmt share revoke` and the share below, and who kept them reads nothing \
             that is written from then on.\n\nIf it shall not be so, take back the administrator's own share, and give this one again.",
        ),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::words;

    #[test]
    fn each_says_what_to_do_now() {
        for (kind, command) in [
            ("program.stopped", "ocmt share program release"),
            ("program.stopped", "ocmt share program revoke"),
            ("audit.retention", "ocmt audit retention set"),
            ("audit.stream_down", "ocmt audit stream set"),
            ("session.new_place", "ocmt sessions revoke"),
            ("api_key.ends", "ocmt api-key create"),
            ("share.taken_back", "ocmt share revoke"),
            ("program.ends", "ocmt share program create"),
        ] {
            let (subject, text) = words(kind).unwrap();
            assert!(subject.len() <= 70 && text.contains(command), "{kind}: {text}");
        }
        assert_eq!((words("audit.pruned"), words("program.created")), (None, None));
    }
}
