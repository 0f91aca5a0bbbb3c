//! The codec of every generated client and server: prost, with the bounds of a request checked on its
//! encoded bytes before anything is decoded.
//!
//! One codec serves both ends, so it looks at the type: messages that are some method's request are
//! checked when they are decoded, which only servers do; responses are not.

use std::marker::PhantomData;

use bytes::Buf as _;
use prost::{Message, Name};
use tonic::{
    Code, Status,
    codec::{BufferSettings, Codec, DecodeBuf, Decoder},
};
use tonic_prost::{ProstCodec, ProstEncoder};
use tonic_types::{ErrorDetails, FieldViolation as StatusViolation, StatusExt as _};

use crate::bounds::{self, FieldViolation, rules};

/// Domain of the `google.rpc.ErrorInfo` of all our errors.
pub const ERROR_DOMAIN: &str = "ocmt";
/// Reason in the `google.rpc.ErrorInfo` of a request that breaks a bound.
pub const OUT_OF_BOUNDS: &str = "OUT_OF_BOUNDS";

/// [`ProstCodec`] that refuses requests out of bounds with INVALID_ARGUMENT.
#[derive(Debug, Clone)]
pub struct BoundsCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for BoundsCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for BoundsCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Name + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = BoundsDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::raw_encoder(BufferSettings::default())
    }

    fn decoder(&mut self) -> Self::Decoder {
        BoundsDecoder { rules: rules::request::<U>(), of: PhantomData }
    }
}

/// Decodes `U`, after its bounds if it is a request.
#[derive(Debug, Clone)]
pub struct BoundsDecoder<U> {
    rules: Option<&'static rules::Message>,
    of: PhantomData<U>,
}

impl<U: Message + Default> Decoder for BoundsDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buf: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        // takes over the buffer, so `bytes` fields go on pointing into it: nothing is copied
        let encoded = buf.copy_to_bytes(buf.remaining());
        let Some(rules) = self.rules else {
            return U::decode(encoded).map(Some).map_err(|error| Status::internal(error.to_string()));
        };
        bounds::check_rules(rules, &encoded).map_err(|violations| refuse(&violations))?;
        U::decode(encoded).map(Some).map_err(|_| refuse(&[FieldViolation::malformed()]))
    }
}

/// INVALID_ARGUMENT with `google.rpc.BadRequest` and `google.rpc.ErrorInfo`.
fn refuse(violations: &[FieldViolation]) -> Status {
    let mut details = ErrorDetails::with_error_info(OUT_OF_BOUNDS, ERROR_DOMAIN, []);
    let listed: Vec<_> = violations
        .iter()
        .map(|each| StatusViolation::new(each.field.as_str(), each.description.as_str()))
        .collect();
    details.set_bad_request(listed);
    let first = violations.first().map(ToString::to_string).unwrap_or_default();
    Status::with_error_details(Code::InvalidArgument, format!("request out of bounds: {first}"), details)
}
