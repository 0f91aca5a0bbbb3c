//! What a provider may say and is not believed.

use tonic::Code;

use crate::{kit::Kit, provider::Wrong};

#[tokio::test]
async fn a_word_that_does_not_hold_signs_nobody_in() {
    for wrong in [
        Wrong::Unsigned,
        Wrong::Symmetric,
        Wrong::OtherKey,
        Wrong::Issuer,
        Wrong::Audience,
        Wrong::MoreAudiences,
        Wrong::Nonce,
        Wrong::NoNonce,
        Wrong::Expired,
        Wrong::Unverified,
        Wrong::NoWord,
    ] {
        let kit = Kit::start(wrong).await;
        let refused = kit.sign_in().await.err().unwrap_or_else(|| panic!("{wrong:?} signed somebody in"));
        assert_eq!(refused.code(), Some(Code::Unauthenticated), "{wrong:?}: {refused}");
        assert!(kit.provider.asked().contains(&"/token".to_owned()), "{wrong:?}: it was not asked");
    }
}
