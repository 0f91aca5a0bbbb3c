//! A node without cells.

use std::time::Duration;

use ocmt_types::MessageId;

use crate::{
    CellCall, CellChannel, CellError, CellGot, CellInboxItem, CellInboxSettled, CellLink, CellPass,
    CellPolicy, CellStatus, CellTarget, CellTranscripts, CellUnlock, CellWant, LockReason,
};

pub(crate) struct NoCells;
impl CellLink for NoCells {
    fn take_inbox<'a>(
        &'a self,
        _: &'a CellTarget,
        _: CellInboxSettled,
        _: Duration,
    ) -> CellCall<'a, Vec<CellInboxItem>> {
        nobody()
    }
    fn get_key<'a>(&'a self, _: &'a CellTarget) -> CellCall<'a, Vec<u8>> {
        nobody()
    }
    fn put_policy<'a>(&'a self, _: &'a CellTarget, _: CellPolicy) -> CellCall<'a, ()> {
        nobody()
    }
    fn unlock<'a>(&'a self, _: &'a CellTarget, _: CellUnlock) -> CellCall<'a, Duration> {
        nobody()
    }
    fn extend<'a>(&'a self, _: &'a CellTarget, _: Vec<u8>) -> CellCall<'a, Duration> {
        nobody()
    }
    fn lock<'a>(&'a self, _: &'a CellTarget, _: LockReason) -> CellCall<'a, ()> {
        nobody()
    }
    fn status<'a>(&'a self, _: &'a CellTarget) -> CellCall<'a, CellStatus> {
        nobody()
    }
    fn open_channel<'a>(&'a self, _: &'a CellTarget) -> CellCall<'a, CellChannel> {
        nobody()
    }
    fn open_plain<'a>(&'a self, _: &'a CellTarget, _: CellPass) -> CellCall<'a, CellChannel> {
        nobody()
    }
}

impl CellTranscripts for NoCells {
    fn exchange_transcripts<'a>(
        &'a self,
        _: &'a CellTarget,
        _: Vec<(MessageId, CellGot)>,
        _: Duration,
    ) -> CellCall<'a, Vec<CellWant>> {
        nobody()
    }
}

pub(crate) fn nobody<'a, T: Send + 'a>() -> CellCall<'a, T> {
    Box::pin(async { Err(CellError::Unreachable("there are no cells in this test".to_owned())) })
}
