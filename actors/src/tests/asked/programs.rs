//! A program of before asks for every slot at once, and shows no claim.

use super::*;

#[tokio::test]
async fn a_program_that_knows_of_no_delay_is_told_so_and_nothing_is_asked_for_by_it() {
    let paper = Paper::of(Kit::sim().await, DELAY).await;
    for (kind, claim) in [(None, None), (Some(SlotKind::Backup), None), (None, Some(DEVICE))] {
        let ask = GetKeySlots { vault: None, kind, claim };
        let refused = paper.kit.call(&paper.ann.caller, ask).await.unwrap_err();
        assert_eq!(refused.reason(), "CLIENT_TOO_OLD", "{kind:?}");
    }
    assert!(paper.standing().await.is_none());
    assert_eq!(paper.kit.mailbox.count_of(&paper.ann.email, "slots.asked"), 0);
    assert_eq!(paper.refused(DEVICE).await, "WAY_WAITS", "it stands in nobody's way");
}
