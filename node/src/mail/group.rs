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
        "unlock_asked" => (
            "You are asked to open a group's vault",
            "An administrator of a group asks the others to open its vault to them for a time. Call them on a number that you \
             already had: whoever merely writes to you may be somebody else. You both see six words; approve only if they \
             read exactly yours to you, with `ocmt group vault approve`. If you know nothing of it, refuse: `ocmt group \
             vault deny`.",
        ),
        "unlock_released" => (
            "A group's vault is open to an administrator",
            "Enough administrators approved, and whoever asked can open the group's vault until the time below. If that is \
             wrong, `ocmt group vault deny` ends it at once; then open it together, and run `ocmt group vault rotate`.",
        ),
        "key_shared" => (
            "The key of a group's vault was shared anew",
            "The vault has new keys. From now on as many administrators as stand below open it together, and nobody alone: \
             `ocmt group vault unlock` asks the others. `ocmt group vault status` says who takes part. If it should not be \
             so, call whoever did it.",
        ),
        "unlock_denied" => {
            ("An unlock of a group's vault was refused", "Too many administrators said no to it.")
        }
        "unlock_ended" => (
            "An unlock of a group's vault has ended",
            "If it had been released, whoever asked may have kept the key: new ones are due. Whoever opens it next runs `ocmt \
             group vault rotate`.",
        ),
        "cell_appointed" => (
            "A container is the cell of a group's vault",
            "Whoever had the group's vault open has named a container whose cell it may be opened into from now on, and which \
             entries that one gets. `ocmt group vault cell show` says which. If it should not be so, `ocmt group vault cell dismiss` ends it.",
        ),
        "cell_dismissed" => (
            "A group's vault has no cell any more",
            "The container below is the cell of the group's vault no more. If something was open in it, it is locked.",
        ),
        "cell_asked" => (
            "You are asked to open a group's vault into its cell",
            "An administrator of a group asks the others to open its vault into the cell of the group's container for a time; no \
             device gets its key. Call them on a number that you already had. You both see six words; approve only if they read \
             exactly yours to you, with `ocmt group vault approve`. If you know nothing of it, refuse: `ocmt group vault deny`.",
        ),
        "cell_released" => (
            "A group's vault can be opened into its cell",
            "Enough administrators approved, and the group's container gets what the vault has appointed for it, until the time \
             below. If that is wrong, `ocmt group vault deny` ends it at once, and locks the cell.",
        ),
        "cell_ended" => (
            "An unlock into a group's cell has ended",
            "If the cell had been opened, it is locked. No device had the key of the vault.",
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
