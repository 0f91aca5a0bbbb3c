//! Letters about what somebody has to look at now: a program that was stopped, and what becomes of the audit.

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
        ] {
            let (subject, text) = words(kind).unwrap();
            assert!(subject.len() <= 70 && text.contains(command), "{kind}: {text}");
        }
        assert_eq!((words("audit.pruned"), words("program.created")), (None, None));
    }
}
