//! Letters about recoveries. Who gets one is worried or in a hurry, and no engineer: what happened, and what to do now.

/// Who reads it, and of what.
#[derive(Clone, Copy)]
pub(super) struct Reader {
    /// The owner of the vault; else a guardian.
    pub(super) owner: bool,
    /// Of a request that goes on over a stop: neither veto nor lock ends it.
    pub(super) over_a_stop: bool,
    /// Of a request whose owner is said to have lost the mailbox too.
    pub(super) lost_mailbox: bool,
}

impl Reader {
    /// Before it opens, what goes on over a stop is ended by the owner's key alone.
    fn stoppable_proposal(self) -> bool {
        self.lost_mailbox && !self.over_a_stop
    }
}

/// Subject and first lines of a notice about a ceremony; none of another kind.
pub(super) fn words(kind: &str, reader: Reader) -> Option<(&'static str, &'static str)> {
    let Some(kind) = kind.strip_prefix("ceremony.") else { return drill(kind) };
    if let Some(lost) = lost(kind, reader) {
        return Some(lost);
    }
    if !reader.owner {
        return guardian(kind);
    }
    let (subject, text) = owner(kind)?;
    // a veto is refused there: nobody is to lose the whole delay with trying
    let text = if reader.over_a_stop && text.contains("`ocmt recovery veto`") { NO_VETO } else { text };
    Some((subject, text))
}

/// Where a guardian decides in a browser, or the owner stops it, as a path; none where there is nothing to decide. `ceremony` is its hash.
pub(super) fn page(kind: &str, reader: Reader, ceremony: Option<&str>) -> Option<String> {
    match kind {
        "guardian.invited" | "guardian.drill" => Some("/guardian".to_owned()),
        "ceremony.opened"
        | "ceremony.reminder"
        | "ceremony.proposed"
        | "ceremony.sign_reminder"
        | "ceremony.doubted"
            if !reader.owner =>
        {
            let hash = ceremony.filter(|hash| hash.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
            Some(format!("/guardian/requests/{hash}"))
        }
        "ceremony.proposed" | "ceremony.signed_for" if reader.owner && reader.stoppable_proposal() => {
            Some("/app/recovery".to_owned())
        }
        "recovery.lost_mailbox" => Some("/app/recovery".to_owned()),
        "ceremony.opened" | "ceremony.approved" | "ceremony.ready" | "ceremony.goes_on"
            if reader.owner && !reader.over_a_stop =>
        {
            Some("/app/recovery".to_owned())
        }
        _ => None,
    }
}

/// Of what guardians have yet to sign for, because the owner is said to have lost the mailbox too.
fn lost(kind: &str, reader: Reader) -> Option<(&'static str, &'static str)> {
    if !reader.stoppable_proposal() {
        return None;
    }
    Some(match (kind, reader.owner) {
        ("proposed", true) => (
            "Somebody asks for your vault who says that your mailbox is lost",
            "Somebody, hopefully you, asks your guardians for your vault from another address, because this one is lost. Enough of them \
             have to sign before it begins, and then the longest waiting time runs.\n\nIf it was not you, stop it now, on the page below or \
             by `ocmt recovery veto`, and call your guardians.",
        ),
        ("proposed", false) => (
            "Somebody whom you guard has lost the mailbox too, and asks for your help",
            "A guardian, another or you, says so, and the request comes from the new address below. Call the person on a number that you \
             already had, not one out of a letter, and compare the six words. Only then sign: on the page below, or by `ocmt guardian \
             sign`. It lets the request begin, and gives nothing of your part yet. If it is not them, refuse.",
        ),
        ("sign_reminder", false) => (
            "You are still asked to sign for who has lost the mailbox",
            "If you do not know the person's voice, or the words differ, refuse. Otherwise: `ocmt guardian sign`, or the page below.",
        ),
        ("signed_for", true) => (
            "A guardian signed for the request from another address",
            "One of your guardians signed for the request of whoever says that this mailbox is lost. If it was not you, stop it now, on the \
             page below or by `ocmt recovery veto`, and call your guardians.",
        ),
        ("signed_for", false) => (
            "A guardian signed for who has lost the mailbox",
            "Another guardian, or you, signed for the request to begin.",
        ),
        _ => return None,
    })
}

/// To the owner, of a request that no veto ends.
const NO_VETO: &str = "This request goes on over a stop: one guardian more than usual signed for it, and a veto does not end it. \
                       If it was not you, call your guardians, open your vault, and dismiss them all: `ocmt recovery veto \
                       --retire-guardians`. Then change the password of your mail.";

const STOP: &str = "If it was not you, stop it now, on the page below or by `ocmt recovery veto`. Then change the password of your mail.";

fn owner(kind: &str) -> Option<(&'static str, &'static str)> {
    Some(match kind {
        "opened" => (
            "Your guardians are asked to give your vault back",
            "Somebody, hopefully you, asked your guardians to open your vault. Nothing opens before a waiting time, which \
             begins with this letter. If it was you: call your guardians and read them the six words.\n\nIf it was not you, \
             stop it now, on the page below or by `ocmt recovery veto`. Then change the password of your mail.",
        ),
        "proposed" => (
            "Your guardians are asked to go on over a stop",
            "A request for your vault was stopped, and somebody, hopefully you, asks your guardians to go on over that. One \
             guardian more than usual has to sign for it. Then a veto does not stop it any more.\n\nIf it was not you: call \
             your guardians, and run `ocmt recovery veto --retire-guardians` with your vault open.",
        ),
        "signed_for" => (
            "A guardian agrees to go on over a stop",
            "One of your guardians signed for the request to go on over the stop. If this request is not yours, call your \
             guardians now.",
        ),
        "approved" => ("A guardian approved", STOP_AFTER_APPROVAL),
        "refused" => ("A guardian refused", "One of your guardians said no to the request for your vault."),
        "doubted" => (
            "A guardian is not sure",
            "One of your guardians is not sure that the request for your vault is yours. Call them.",
        ),
        "ready" => (
            "Enough guardians approved: your vault opens after the waiting time",
            "Enough guardians have approved the request for your vault. It opens at the time below, unless it is stopped. If \
             it was not you, stop it now, on the page below or by `ocmt recovery veto`.",
        ),
        "released" => (
            "Your vault can be opened with your guardians' help",
            "The waiting time is over. If it was you: run `ocmt recovery complete` where you asked. If it was not you: open \
             your vault now and run `ocmt recovery veto --retire-guardians`.",
        ),
        "goes_on" => ("The request for your vault goes on", STOP),
        "collect_reminder" => (
            "Your vault waits for you",
            "Your guardians' help is there and not used yet. Run `ocmt recovery complete` where you asked, before the time \
             below.",
        ),
        "completed" => (
            "Your vault was given back under a new passphrase",
            "All sessions and API keys have ended. Sign in, and name guardians anew with `ocmt recovery setup`: the parts of \
             the old ones are used up.",
        ),
        over => return ended(over),
    })
}

const STOP_AFTER_APPROVAL: &str = "One of your guardians approved the request for your vault. If it was not you, stop it now, \
                                   on the page below or by `ocmt recovery veto`. Then change the password of your mail.";

fn guardian(kind: &str) -> Option<(&'static str, &'static str)> {
    const CALL: &str = "Call the person first, on a number that you already had: whoever merely writes to you may be somebody \
                        else. You both see six words; approve only if they read exactly yours to you. The page below says how, \
                        and so does `ocmt guardian list`. Nobody will ever ask you for your passphrase.";
    Some(match kind {
        "opened" => ("Somebody whom you guard asks for your help", CALL),
        "reminder" => ("You are still asked for your help", CALL),
        "proposed" => (
            "A request was stopped, and you are asked to go on over that",
            "Somebody stopped a request for the vault that you guard, and whoever asked says that the stop was wrong. Call the \
             person on a number that you already had, compare the six words, and only then run `ocmt guardian override`. If \
             you do not know, do nothing.",
        ),
        "sign_reminder" => (
            "You are still asked to go on over a stop",
            "If you do not know the person's voice, or the words differ, do nothing. Otherwise: `ocmt guardian override`.",
        ),
        "signed_for" => {
            ("A guardian agrees to go on over a stop", "Another guardian, or you, signed for the request.")
        }
        "approved" => ("A guardian approved", "A guardian, another or you, approved the request."),
        "refused" => ("A guardian refused", "A guardian, another or you, said no to the request."),
        "doubted" => (
            "A guardian is not sure",
            "A guardian doubts that the request is the owner's own. Call the owner yourself before you approve.",
        ),
        "ready" => ("Enough guardians approved", "The waiting time runs; nothing is left for you to do."),
        "released" => (
            "A vault that you guard can be opened",
            "The waiting time is over; nothing is left for you to do.",
        ),
        "completed" => (
            "A vault that you guard was given back",
            "Its owner has a new passphrase. Your part is used up; you may be asked to be a guardian again.",
        ),
        over => return ended(over),
    })
}

fn ended(kind: &str) -> Option<(&'static str, &'static str)> {
    Some(match kind {
        "denied" => ("A recovery is over: too many guardians refused", "Nothing was opened."),
        "vetoed" => ("A recovery is over: the owner stopped it", "Nothing was opened."),
        "locked" => (
            "A recovery is over: a guardian locked it",
            "Nothing was opened, and nobody can ask for a while. Call each other: a guardian thinks that something is wrong.",
        ),
        "expired" => ("A recovery is over: it ran out of time", "It can be asked for again."),
        "cancelled" => ("A recovery is over: it was given up", "Nothing was opened."),
        _ => return None,
    })
}

fn drill(kind: &str) -> Option<(&'static str, &'static str)> {
    Some(match kind {
        "guardian.invited" => (
            "You are asked to be a guardian",
            "If they ever lose the passphrase of their vault, they would ask you and others for help. Today only yes or no is \
             asked of you. If you did not expect this, call them first. The page below says more; `ocmt guardian accept` does \
             the same in a terminal.",
        ),
        "recovery.lost_mailbox" => (
            "A guardian says that you have lost this mailbox",
            "The guardian below had a link sent to the new address below, from which your guardians can be asked for your vault. Nothing begins \
             before enough of them have signed, and you are told. If you did not ask for it, call your guardians now, and look at the page \
             below, or `ocmt recovery status`.",
        ),
        "guardian.drill" => (
            "Could you still help? A drill for a guardian",
            "Nothing has happened. Every now and then guardians show that they could still help: on the page below, or by \
             `ocmt guardian answer`. Nothing of what you keep is shown.",
        ),
        "recovery.guardians_silent" => (
            "Some of your guardians did not answer",
            "Enough others did. Ask those below whether they still have the device and the passphrase of their own vault.",
        ),
        "recovery.guardians_few" => (
            "Your vault has few guardians left: act now",
            "Some of your guardians did not answer. With one or two more lost, nobody could give your vault back. While you \
             still have the passphrase, name others in their place: `ocmt recovery setup`.",
        ),
        "recovery.guardians_lost" => (
            "Nobody could give your vault back now",
            "Too few of your guardians answered. While you still have the passphrase, name others in their place: `ocmt \
             recovery setup`; and make a recovery kit: `ocmt vault backup-key --kit FILE`.",
        ),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const OWNER: Reader = Reader { owner: true, over_a_stop: false, lost_mailbox: false };
    const GUARDIAN: Reader = Reader { owner: false, ..OWNER };

    #[test]
    fn every_step_of_a_recovery_has_words_for_both_sides() {
        for kind in [
            "opened",
            "proposed",
            "signed_for",
            "approved",
            "refused",
            "doubted",
            "ready",
            "released",
            "completed",
            "denied",
            "vetoed",
            "locked",
            "expired",
            "cancelled",
        ] {
            let kind = format!("ceremony.{kind}");
            for (owner, over_a_stop) in [(true, true), (true, false), (false, true), (false, false)] {
                let (subject, text) =
                    words(&kind, Reader { owner, over_a_stop, lost_mailbox: false }).unwrap();
                assert!(subject.len() <= 70 && !text.is_empty(), "{kind}");
                assert!(!(owner && over_a_stop && text.contains("`ocmt recovery veto`")), "{kind}: {text}");
            }
        }
        for kind in [
            "guardian.invited",
            "guardian.drill",
            "recovery.guardians_silent",
            "recovery.guardians_few",
            "recovery.guardians_lost",
            "recovery.lost_mailbox",
        ] {
            assert!(words(kind, OWNER).is_some_and(|(subject, _)| subject.len() <= 70), "{kind}");
        }
        let hash = Some("0a1b");
        assert_eq!(page("ceremony.opened", GUARDIAN, hash).as_deref(), Some("/guardian/requests/0a1b"));
        assert_eq!(page("ceremony.opened", OWNER, hash).as_deref(), Some("/app/recovery"));
        assert_eq!(page("ceremony.opened", Reader { over_a_stop: true, ..OWNER }, hash), None);
        assert_eq!(page("ceremony.vetoed", GUARDIAN, hash), None);
        assert_eq!(page("ceremony.opened", GUARDIAN, Some("x y\nhttps://evil.example")), None);
        assert!(words("ceremony.goes_on", OWNER).unwrap().1.contains("ocmt recovery veto"));
        assert!(words("ceremony.reminder", GUARDIAN).unwrap().1.contains("number that you already had"));
        assert_eq!((words("tenant.deletion", OWNER), words("ceremony.unheard_of", OWNER)), (None, None));
    }

    #[test]
    fn who_is_said_to_have_lost_the_mailbox_hears_how_to_stop_it_while_a_veto_does() {
        let lost = Reader { lost_mailbox: true, ..OWNER };
        for kind in ["ceremony.proposed", "ceremony.signed_for", "ceremony.opened", "ceremony.goes_on"] {
            let (subject, text) = words(kind, lost).unwrap();
            assert!(subject.len() <= 70 && text.contains("`ocmt recovery veto`"), "{kind}");
            assert_eq!(page(kind, lost, Some("0a")).as_deref(), Some("/app/recovery"), "{kind}");
        }
        let over = Reader { over_a_stop: true, ..lost };
        assert_eq!(page("ceremony.proposed", over, Some("0a")), None);
        for kind in ["ceremony.proposed", "ceremony.signed_for", "ceremony.opened"] {
            assert!(!words(kind, over).unwrap().1.contains("`ocmt recovery veto`"), "{kind}");
        }
        let guardian = Reader { owner: false, ..lost };
        assert!(words("ceremony.proposed", guardian).unwrap().1.contains("`ocmt guardian sign`"));
        let sign = page("ceremony.proposed", guardian, Some("0a"));
        assert_eq!(sign.as_deref(), Some("/guardian/requests/0a"));
    }
}
