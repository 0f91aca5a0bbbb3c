//! What a container's volume is, and what to do where it was not sealed.

use ocmt_client::container::{Container, Unsealed, VolumeFault};

use super::show;

/// What it is.
pub(super) fn kind(container: &Container) -> String {
    match container.sealed_volume_bytes >> 20 {
        0 => "plain files of its host".to_owned(),
        mib => format!("sealed, {mib} MiB"),
    }
}

/// Since when it is not sealed, why, and what helps; empty if the last sealing succeeded.
pub(super) fn unsealed(container: &Container) -> String {
    container.unsealed.map(tell).unwrap_or_default()
}

fn tell(unsealed: Unsealed) -> String {
    let (why, helps) = match unsealed.why {
        VolumeFault::HostFull => {
            ("its host has no room for another sealing", "ask the host's operator for room")
        }
        VolumeFault::Names => (
            "names of files take too much room, a path is too long, or folders lie too deep",
            "delete or rename some, as docs/sealed-volumes.md says",
        ),
        VolumeFault::Restless => (
            "something wrote while it was copied, each time",
            "end what writes, or lock the container: that ends it, and seals",
        ),
        VolumeFault::File => (
            "a file of the volume, or of the host, could not be read or written",
            "`ocmt container logs` names the error; where it is the host's, ask its operator",
        ),
        VolumeFault::Unknown => ("its cell did not say why", "look into `ocmt container logs`"),
    };
    let what = if unsealed.lost {
        "and the cell has locked: what changed since the sealing before that is lost. Before the next unlock"
    } else {
        "and what changed since the sealing before that is in memory alone. To keep it"
    };
    format!("since {}, as {why}; {what}: {helps}", show::at(unsealed.since))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_since_when_why_and_what_to_do_and_whether_something_is_lost() {
        let unsealed = Unsealed {
            since: Some(ocmt_types::Timestamp(1_795_000_000_000)),
            why: VolumeFault::HostFull,
            lost: false,
        };
        let said = tell(unsealed);
        for part in ["since 2026-11-18 ", "no room", "in memory alone", "ask the host's operator"] {
            assert!(said.contains(part), "{part}: {said}");
        }
        let said = tell(Unsealed { lost: true, ..unsealed });
        assert!(said.contains("is lost") && !said.contains("in memory"), "{said}");
    }
}
