//! Secret types cannot be printed, serialised or cloned by accident: held by the compiler, below.
//!
//! Each assertion asks the compiler to infer which of two implementations of a trait a type has. If the
//! type implements what it must not, there are two, and this file does not compile.

macro_rules! never {
    (shown: $($type:ty),+ $(,)?) => {$(
        never!(@one $type, std::fmt::Debug);
        never!(@one $type, std::fmt::Display);
        never!(@one $type, serde::Serialize);
    )+};
    ($($type:ty),+ $(,)?) => {$(
        never!(shown: $type);
        never!(@one $type, Clone);
        never!(@one $type, Copy);
    )+};
    (@one $type:ty, $what:path) => {
        const _: fn() = || {
            trait AmbiguousIfSo<A> {
                fn here() {}
            }
            impl<T: ?Sized> AmbiguousIfSo<()> for T {}
            struct So;
            impl<T: ?Sized + $what> AmbiguousIfSo<So> for T {}
            let _ = <$type as AmbiguousIfSo<_>>::here;
        };
    };
}

never!(
    ocmt_crypto::backup_code::BackupCode,
    ocmt_crypto::backup_key::BackupKey,
    ocmt_crypto::cell::CellKey,
    ocmt_crypto::cell::ControlToken,
    ocmt_crypto::cell::GatewayAuthority,
    ocmt_crypto::cell::PolicyAuthority,
    ocmt_crypto::cell::StartSecret,
    ocmt_crypto::channel::CellChannel,
    ocmt_crypto::channel::CellChannels,
    ocmt_crypto::channel::ClientChannel,
    ocmt_crypto::codec::Writer,
    ocmt_crypto::connect::Answer,
    ocmt_crypto::connect::ProviderSettings,
    ocmt_crypto::connect::Tokens,
    ocmt_crypto::datakey::DataKey,
    ocmt_crypto::datakey::VaultKey,
    ocmt_crypto::entry::Entry,
    ocmt_crypto::envelope::Cipher,
    ocmt_crypto::envelope::Opened,
    ocmt_crypto::export::Exported,
    ocmt_crypto::export::ExportedEntry,
    ocmt_crypto::export::Opener,
    ocmt_crypto::export::Said,
    ocmt_crypto::export::Sealer,
    ocmt_crypto::group_cell::Handover,
    ocmt_crypto::group_cell::Opened,
    ocmt_crypto::guardian::Dealt,
    ocmt_crypto::guardian::Unit,
    ocmt_crypto::import::FieldKeys,
    ocmt_crypto::import::Item,
    ocmt_crypto::import::OldVault,
    ocmt_crypto::import::Seed,
    ocmt_crypto::join::JoinToken,
    ocmt_crypto::kdf::Passphrase,
    ocmt_crypto::keyring::Keyring,
    ocmt_crypto::pkce::Verifier,
    ocmt_crypto::plaintext::Plaintext,
    ocmt_crypto::seal::SealSecretKey,
    ocmt_crypto::sealed_volume::SealedHead,
    ocmt_crypto::sealed_volume::VolumeKey,
    ocmt_crypto::sealing::SealingKey,
    ocmt_crypto::sealing::SealingKeys,
    ocmt_crypto::shamir::Share,
    ocmt_crypto::shared::SharedAct,
    ocmt_crypto::sign::SigningKey,
    ocmt_crypto::slot::NewSlot<'static>,
    ocmt_crypto::slot::RecoveryKey,
    ocmt_crypto::slot::SlotSecret<'static>,
    ocmt_crypto::snapshot::ChunkOpener,
    ocmt_crypto::snapshot::ChunkSealer,
    ocmt_crypto::snapshot::SnapshotPayload,
    ocmt_crypto::snapshot_schedule::ScheduleKey,
    ocmt_crypto::token::Token,
    ocmt_crypto::totp::TotpSecret,
    ocmt_crypto::transcript::TranscriptReader,
    ocmt_crypto::transcript::TranscriptWriter,
    ocmt_crypto::unlock::ConversationKey,
    ocmt_crypto::unlock::ConversationKeys,
    ocmt_crypto::unlock::InboxItem,
    ocmt_crypto::unlock::MappedEntry,
    ocmt_crypto::unlock::NewConversation,
    ocmt_crypto::unlock::SharedVerdict,
    ocmt_crypto::unlock::UnlockKey,
    ocmt_crypto::unlock::UnlockPayload,
    ocmt_crypto::unlock::VolumeUnlock,
    ocmt_crypto::unlock::Verdict,
    ocmt_crypto::vault::Completed,
    ocmt_crypto::vault::Edit<'static>,
    ocmt_crypto::vault::KeyVersions,
    ocmt_crypto::vault::Rotation<'static>,
    ocmt_crypto::vault::UnlockedVault,
    ocmt_types::Secret<String>,
);

// the names of entries are secret too, and may be cloned
never!(
    shown:
    ocmt_crypto::entry::EntryName,
    ocmt_crypto::unlock::Granted,
    ocmt_crypto::unlock::Ledger,
);

#[test]
fn secrets_have_no_debug_display_serialize_or_clone() {
    fn may_be_cloned<T: Clone + Ord>() {}
    may_be_cloned::<ocmt_crypto::entry::EntryName>();
}
