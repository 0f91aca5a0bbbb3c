//! Letters about a backup key or a hardware token that somebody wants to open the vault with.

/// Subject and first lines of such a notice; none of another kind.
pub(super) fn words(kind: &str) -> Option<(&'static str, &'static str)> {
    Some(match kind.strip_prefix("slots.")? {
        "asked" => (
            "Somebody wants to open your vault without its passphrase",
            "They are signed in as you, and say that they have your backup key or hardware token. From the first time below the \
             device that asked can open the vault with it; if it was you, run the same command there again then.\n\nIf it was not \
             you, refuse it before, on the page below or by `ocmt step-up`, then `ocmt vault slots refuse`. Then `ocmt sessions revoke-others`, and look \
             whether the key is where you keep it: `ocmt vault backup-key` makes another, and the old one opens nothing then.",
        ),
        "ready" => (
            "Your vault can be opened without its passphrase now",
            "The waiting time is over for who asked with your backup key or hardware token: if it was you, run the same command \
             on the same device again, before the last time below. If it was not you, refuse it at once, on the page below or by \
             `ocmt step-up`, then `ocmt vault slots refuse`.",
        ),
        "handed_out" => (
            "A backup key or hardware token is being used on your vault",
            "Somebody who is signed in as you got what it takes to open your vault with it. If it was not you, refuse it, on the page \
             below or by `ocmt step-up`, then `ocmt vault slots refuse`. Then `ocmt sessions revoke-others`, and a new key: `ocmt vault backup-key`. Whoever has \
             opened the vault may have read all of it: change what stands in it where it is used.",
        ),
        "refused" => (
            "It was refused to open your vault without its passphrase",
            "Somebody in a full session of yours refused it, hopefully you. The device that asked gets nothing. If it was you who \
             asked and not you who refused, somebody has your account: `ocmt sessions revoke-others`, and ask again.",
        ),
        "lapsed" => (
            "Nobody opened your vault without its passphrase",
            "What was asked for was not collected in its time. If it was not you who asked, look whether your backup key or \
             hardware token is where you keep it.",
        ),
        "delay_lowered" => (
            "A key to a vault is waited for less long",
            "Somebody, hopefully you or another owner, said that a backup key or hardware token is waited for less long in this \
             tenant. It counts from the time below. If it shall not be so, say otherwise until then: `ocmt tenant policy`.",
        ),
        _ => return None,
    })
}

/// Where the owner refuses it in a browser, as a path; none where there is nothing to refuse.
pub(super) fn page(kind: &str) -> Option<&'static str> {
    matches!(kind, "slots.asked" | "slots.ready" | "slots.handed_out").then_some("/app/recovery")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{page, words};

    #[test]
    fn each_says_what_to_do_now() {
        for (kind, command) in [
            ("slots.asked", "ocmt vault slots refuse"),
            ("slots.ready", "ocmt step-up"),
            ("slots.handed_out", "ocmt vault backup-key"),
            ("slots.refused", "ocmt sessions revoke-others"),
            ("slots.lapsed", "where you keep it"),
            ("slots.delay_lowered", "ocmt tenant policy"),
        ] {
            let (subject, text) = words(kind).unwrap();
            assert!(subject.len() <= 70 && text.contains(command), "{kind}: {text}");
            assert_eq!(text.contains("the page below"), page(kind).is_some(), "{kind}");
        }
        assert_eq!((words("slots.other"), words("guardian.drill")), (None, None));
    }
}
