//! A value that nobody prints by accident and that is wiped when dropped.

use zeroize::{Zeroize, Zeroizing};

/// Holds a secret. It has no `Debug`, `Display`, `Clone` or `Serialize`; reading it is spelled out
/// ([`Secret::expose`]), and the memory is zeroised on drop.
pub struct Secret<T: Zeroize>(Zeroizing<T>);

impl<T: Zeroize> Secret<T> {
    /// Takes the value in.
    pub fn new(value: T) -> Self {
        Self(Zeroizing::new(value))
    }

    /// The value, for the one place that needs it.
    pub fn expose(&self) -> &T {
        &self.0
    }

    /// A second holder of the same secret, spelled out because copies of secrets are to be few.
    #[must_use]
    pub fn duplicate(&self) -> Self
    where
        T: Clone,
    {
        Self(self.0.clone())
    }
}

impl<T: Zeroize> From<T> for Secret<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}
