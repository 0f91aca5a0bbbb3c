//! Letters about a change of guardians: to the owner, who may know nothing of it, and to those who guard now.

/// Subject and first lines of a notice about a change of guardians; none of another kind.
pub(super) fn words(kind: &str, owner: bool) -> Option<(&'static str, &'static str)> {
    let kind = kind.strip_prefix("guardian.")?;
    if owner { to_owner(kind) } else { to_guardian(kind) }
}

fn to_owner(kind: &str) -> Option<(&'static str, &'static str)> {
    Some(match kind {
        "change_proposed" => (
            "Your guardians are to change",
            "Somebody, hopefully you, wants other guardians for your vault, or other rules for them. Those of now are told, and \
             stay until it is done. It can be done between the times below, by the same `ocmt recovery setup` again.\n\nIf it \
             was not you: take it back, `ocmt recovery take-back --change`, after `ocmt step-up`. Then \
             change your passphrase, and `ocmt sessions revoke-others`.",
        ),
        "change_due" => (
            "Your guardians can be changed now",
            "The waiting time is over: run the same `ocmt recovery setup` again before the time below. If it was not you, \
             take it back: `ocmt recovery take-back --change`, after `ocmt step-up`.",
        ),
        "change_lapsed" => (
            "Your guardians stay as they were",
            "The change of guardians was not made in its time. `ocmt recovery setup` asks for it again.",
        ),
        "change_taken_back" => {
            ("A change of your guardians was taken back", "Somebody who was to be a guardian was taken back.")
        }
        "change_made" => (
            "Your guardians have changed",
            "What the guardians before hold opens nothing any more. If it was not you, open your vault and dismiss them: \
             `ocmt vault slots rm`; then change your passphrase, and `ocmt sessions revoke-others`.",
        ),
        "dismissed" => (
            "Nobody could give your vault back now",
            "Your guardians were dismissed by somebody who had your vault open, hopefully you. Name others: `ocmt recovery \
             setup`. If it was not you, change your passphrase now, and `ocmt sessions revoke-others`.",
        ),
        _ => return None,
    })
}

fn to_guardian(kind: &str) -> Option<(&'static str, &'static str)> {
    Some(match kind {
        "change_proposed" => (
            "The guardians of a vault that you guard are to change",
            "Its owner, or somebody in their place, wants other guardians, or other rules for them. Call the owner, on a \
             number that you already had, and ask whether it is their wish. Until it is done your part counts.",
        ),
        "change_lapsed" => {
            ("The guardians of a vault that you guard stay", "The change was not made in its time.")
        }
        "change_taken_back" => (
            "A change of guardians was taken back",
            "The guardians of a vault that you guard stay as they were.",
        ),
        "change_made" => (
            "The guardians of a vault that you guarded have changed",
            "The part that you held opens nothing any more. If you are still a guardian, you have another one. If you do not \
             know whether the owner wished it, call them.",
        ),
        "dismissed" => (
            "A vault that you guarded has no guardians any more",
            "Somebody who had the vault open dismissed them all. If you do not know whether the owner wished it, call them.",
        ),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn every_step_of_a_change_has_words_for_both_sides() {
        for kind in ["change_proposed", "change_lapsed", "change_taken_back", "change_made", "dismissed"] {
            for owner in [true, false] {
                let (subject, text) = words(&format!("guardian.{kind}"), owner).expect(kind);
                assert!(subject.len() <= 70 && !text.is_empty(), "{kind}");
            }
        }
        assert!(words("guardian.change_due", true).is_some_and(|(_, text)| text.contains("take-back")));
        assert_eq!((words("guardian.change_due", false), words("guardian.drill", true)), (None, None));
    }
}
