//! Requests as they come over the wire, for any method: the bounds' walk over the bytes, then prost.
//! What the bounds let through must decode, and be let through again as prost writes it.
#![no_main]

use ocmt_proto::{bounds, methods, v1};
use prost::{Message, Name};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((which, encoded)) = data.split_first_chunk::<2>() else { return };
    let all = methods::all();
    let method = &all[usize::from(u16::from_be_bytes(*which)) % all.len()];
    let passed = bounds::check(method.path, encoded).is_ok();
    if !passed {
        return;
    }
    decode::<v1::PutEntryRequest>(method.request, encoded);
    decode::<v1::CreateVaultRequest>(method.request, encoded);
    decode::<v1::BatchPutEntriesRequest>(method.request, encoded);
    decode::<v1::AppendTranscriptRequest>(method.request, encoded);
    decode::<v1::PutRewrappedKeysRequest>(method.request, encoded);
    decode::<v1::DealSharesRequest>(method.request, encoded);
    decode::<v1::OpenCeremonyRequest>(method.request, encoded);
    decode::<v1::CreateContainerRequest>(method.request, encoded);
    decode::<v1::OpenChannelRequest>(method.request, encoded);
    decode::<v1::UpdateTenantPolicyRequest>(method.request, encoded);
    decode::<v1::CreateShareRequest>(method.request, encoded);
    decode::<v1::QueryAuditRequest>(method.request, encoded);
});

fn decode<M: Message + Name + Default>(request: &str, encoded: &[u8]) {
    if M::full_name() != request {
        return;
    }
    // prost is stricter in UTF-8 and depth, so it may refuse; it never panics, and what it takes stays taken
    if let Ok(message) = M::decode(encoded) {
        assert!(bounds::check_message(&message).is_ok(), "the bounds judge one message in two ways");
    }
}
