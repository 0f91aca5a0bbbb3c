//! A sealed volume that is not sealed.

pub use ocmt_store::tables::VolumeFault;
use ocmt_types::Timestamp;
use serde::{Deserialize, Serialize};

/// The last sealing of a sealed volume failed; the next that succeeds takes it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsealed {
    /// The first that failed since one succeeded.
    pub since: Timestamp,
    /// Why the latest failed.
    #[serde(with = "fault_text")]
    pub why: VolumeFault,
    /// Its cell has locked since: what was not sealed is gone.
    pub lost: bool,
}

/// Under the names they are stored by; a name of a later program is one that says nothing here.
mod fault_text {
    use serde::{Deserialize as _, Deserializer, Serializer};

    use super::VolumeFault;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
    pub(super) fn serialize<S: Serializer>(why: &VolumeFault, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(why.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<VolumeFault, D::Error> {
        let text = String::deserialize(from)?;
        Ok(VolumeFault::parse(&text).unwrap_or(VolumeFault::Unknown))
    }
}
