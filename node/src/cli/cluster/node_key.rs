//! `ocmt cluster node-key`.

use ocmt_types::{Clock as _, SystemClock};

use crate::{
    cli::{
        args::NodeKeyCommand,
        output::{self, Output},
        show,
    },
    pki::{self, NextKey},
};

pub(super) fn run(command: &NodeKeyCommand, out: Output) -> anyhow::Result<()> {
    match command {
        NodeKeyCommand::Rotate { data_dir } => {
            let stands = pki::prepare_next(&data_dir.join("pki"), SystemClock.now())?;
            told(&stands, out)?;
            if !out.json {
                output::note(
                    "Start the node again when `ocmt cluster node-key show` says that its next start takes the key.",
                );
            }
            Ok(())
        }
        NodeKeyCommand::Show { data_dir } => told(&pki::next_key(&data_dir.join("pki"))?, out),
    }
}

fn told(stands: &NextKey, out: Output) -> anyhow::Result<()> {
    let next = stands.next.as_ref().map(ocmt_crypto::audit::checkpoint::NoteKey::to_text);
    let present = stands.present.to_text();
    let shown = serde_json::json!({
        "key": present,
        "earlier": stands.earlier,
        "next": next,
        "certified": stands.is_certified,
    });
    out.value(&shown, || {
        let mut facts = vec![("key", present.clone()), ("before it", stands.earlier.to_string())];
        if let Some(next) = &next {
            let when = if stands.is_certified {
                "certified: the node's next start takes it"
            } else {
                "has no certificate yet: a running node asks for it, the one with the authority makes it at its start"
            };
            facts.extend([("next", next.clone()), ("which", when.to_owned())]);
        }
        show::facts(&facts)
    })
}
