//! What a share allows: exactly what it names. None of the six implies another.

use crate::api::shares::Permission;

/// Their stored names. They are part of the schema: never change one.
const NAMES: [(Permission, &str); 6] = [
    (Permission::Read, "read"),
    (Permission::List, "list"),
    (Permission::Write, "write"),
    (Permission::Delete, "delete"),
    (Permission::Admin, "admin"),
    (Permission::Share, "share"),
];

/// A set of permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Allowed(u8);

impl Allowed {
    /// Exactly these.
    pub(crate) fn exactly(permissions: &[Permission]) -> Self {
        Self(permissions.iter().fold(0, |all, one| all | bit(*one)))
    }

    /// As it was stored. Names that this program does not know allow nothing in it.
    pub(crate) fn stored(text: &str) -> Self {
        let known = |name| NAMES.iter().find(|(_, known)| *known == name).map(|(one, _)| *one);
        Self::exactly(&text.split(' ').filter_map(known).collect::<Vec<_>>())
    }

    /// As it is stored.
    pub(crate) fn to_stored(self) -> String {
        let names = NAMES.iter().filter(|(one, _)| self.has(*one)).map(|(_, name)| *name);
        names.collect::<Vec<_>>().join(" ")
    }

    /// In the order of the contract.
    pub(crate) fn list(self) -> Vec<Permission> {
        NAMES.iter().map(|(one, _)| *one).filter(|one| self.has(*one)).collect()
    }

    /// Whether this very one is in it.
    pub(crate) fn has(self, one: Permission) -> bool {
        self.0 & bit(one) != 0
    }

    /// Whether the other set has nothing that this one has not.
    pub(crate) fn covers(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    /// All but this one.
    #[must_use]
    pub(crate) fn without(self, one: Permission) -> Self {
        Self(self.0 & !bit(one))
    }

    /// What is in either.
    #[must_use]
    pub(crate) fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

const fn bit(one: Permission) -> u8 {
    1 << one as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_itself_alone_and_comes_back_as_it_was_stored() {
        for (one, name) in NAMES {
            let alone = Allowed::exactly(&[one]);
            assert_eq!(alone.list(), [one]);
            assert_eq!((alone.to_stored().as_str(), Allowed::stored(name)), (name, alone));
            for (other, _) in NAMES {
                assert_eq!(alone.has(other), one == other, "{one:?} {other:?}");
                assert_eq!(alone.covers(Allowed::exactly(&[other])), one == other);
            }
        }
        let all = Allowed::exactly(&NAMES.map(|(one, _)| one));
        assert_eq!(Allowed::stored(&all.to_stored()), all);
        assert_eq!(Allowed::stored("read steal"), Allowed::exactly(&[Permission::Read]));
        assert_eq!(Allowed::stored(""), Allowed::default());
    }
}
