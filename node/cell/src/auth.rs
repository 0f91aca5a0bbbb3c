//! Who may call: the node that started this container, and nobody else on its network.
//!
//! Every method carries the control token, which is derived from the start secret; the compare is
//! constant in time. There is no method without it.

use std::sync::Arc;

use ocmt_crypto::cell::ControlToken;
use tonic::{Request, Status, service::Interceptor};

/// Metadata key of the control token.
pub const CONTROL_TOKEN: &str = "ocmt-cell-auth";

/// Lets calls with the control token pass.
#[derive(Clone)]
pub struct ControlAuth(Arc<ControlToken>);

impl ControlAuth {
    /// Takes the token that calls must show.
    pub fn new(token: ControlToken) -> Self {
        Self(Arc::new(token))
    }
}

impl Interceptor for ControlAuth {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let shown = request
            .metadata()
            .get(CONTROL_TOKEN)
            .map(tonic::metadata::MetadataValue::as_bytes)
            .unwrap_or_default();
        if self.0.matches(shown) {
            return Ok(request);
        }
        Err(Status::unauthenticated("the control token is missing or wrong"))
    }
}
