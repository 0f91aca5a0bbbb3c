//! Letters about vaults of groups: to whoever administers the group, or takes part in opening it.

/// Subject and first lines of a notice about a group's vault; none of another kind.
pub(super) fn words(kind: &str) -> Option<(&'static str, &'static str)> {
    Some(match kind.strip_prefix("group_vault.")? {
        "rotation_due" => (
            "A group's vault is due for new keys",
            "Somebody who could open the vault of a group that you administer takes part in it no more. They read nothing \
             from now on; but they may have kept the key, and a copy of what was there. Run `ocmt group vault rotate` soon: \
             it encrypts everything anew. What they have read, they have read: change it where it is used.",
        ),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::words;

    #[test]
    fn an_administrator_is_told_what_to_do_now() {
        assert!(words("group_vault.rotation_due").unwrap().1.contains("ocmt group vault rotate"));
        assert_eq!((words("group_vault.unheard_of"), words("ceremony.opened")), (None, None));
    }
}
