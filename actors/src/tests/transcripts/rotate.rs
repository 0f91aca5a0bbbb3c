//! Rotation takes conversations with it: none is lost, wherever it is cut off, and after a re-keying nothing more is
//! written under the key of before.

use ocmt_crypto::vault::RotationMode;

use super::{Talk, batch, begin, reason, shown};
use crate::tests::{kit::Kit, vault::rotate};

async fn goes_on(kit: Kit, mode: RotationMode) {
    let mut talk = Talk::founded(&kit, "ann@example.com").await;
    talk.say(&kit, &[b"before"]).await.unwrap();
    let wrapped = shown(&kit, &talk).await.wrapped_key;
    let unsent = talk.seal(&[b"sealed before, sent after"], false);
    // cut off before it was finished: nothing has changed, and records still come
    let cut = rotate(&kit, &talk.person, &mut talk.open, mode, false).await.unwrap_err();
    assert_eq!(cut.reason(), "ROTATION_INCOMPLETE");
    assert_eq!(shown(&kit, &talk).await.wrapped_key, wrapped);
    let mut meanwhile = talk.resumed(&kit).await;
    let at = meanwhile.anchor();
    let record = meanwhile.append(b"meanwhile", false, &mut rand::rng()).unwrap();
    kit.call(talk.caller(), batch(talk.id, &at, vec![record])).await.unwrap();
    // taken up again, and finished
    rotate(&kit, &talk.person, &mut talk.open, mode, true).await.unwrap();
    assert_ne!(shown(&kit, &talk).await.wrapped_key, wrapped);
    assert_eq!(talk.heard(&kit).await, [b"before".to_vec(), b"meanwhile".to_vec()]);
    // whoever still writes with the keys of before
    let at = meanwhile.anchor();
    let old = meanwhile.append(b"with the old key", false, &mut rand::rng()).unwrap();
    let answer = kit.call(talk.caller(), batch(talk.id, &at, vec![old])).await;
    let expected = if mode == RotationMode::Rekey { "KEY_EPOCH" } else { "" };
    assert_eq!(reason(answer), expected);
    let mut fresh = talk.resumed(&kit).await;
    let at = fresh.anchor();
    let record = fresh.append(b"after", false, &mut rand::rng()).unwrap();
    kit.call(talk.caller(), batch(talk.id, &at, vec![record])).await.unwrap();
    assert_eq!(talk.heard(&kit).await.last().unwrap(), b"after");
    assert_eq!(reason(kit.call(talk.caller(), unsent).await), "CHANGED_MEANWHILE");
    // anchors come along, and another conversation can be opened
    assert_eq!(talk.open.manifest().anchors.len(), 1);
    begin(&kit, &talk.person, &mut talk.open).await;
}

#[tokio::test]
async fn a_conversation_goes_on_after_its_vault_was_rewrapped() {
    goes_on(Kit::sqlite().await, RotationMode::Rewrap).await;
}

#[tokio::test]
async fn a_conversation_goes_on_under_a_new_key_after_its_vault_was_rekeyed() {
    goes_on(Kit::sqlite().await, RotationMode::Rekey).await;
    goes_on(Kit::postgres().await, RotationMode::Rekey).await;
}
