//! Every method of the contract, from the descriptor: for routing, for authorisation tables and for
//! tests that walk all of them.

use crate::bounds::rules::tables;

/// One method of one service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Method {
    /// Path of the HTTP/2 request, such as `/ocmt.v1.AuthService/SignUp`.
    pub path: &'static str,
    /// Full name of the service, such as `ocmt.v1.AuthService`.
    pub service: &'static str,
    /// Name of the method, such as `SignUp`.
    pub name: &'static str,
    /// Full name of the request message.
    pub request: &'static str,
    /// Full name of the response message.
    pub response: &'static str,
    /// Whether the client sends a stream of requests.
    pub client_streaming: bool,
    /// Whether the server answers by a stream of responses.
    pub server_streaming: bool,
}

/// All methods, sorted by path.
pub fn all() -> &'static [Method] {
    &tables::METHODS
}

/// The method of an HTTP/2 path, if there is one.
pub fn find(path: &str) -> Option<&'static Method> {
    let at = tables::METHODS.binary_search_by(|method| method.path.cmp(path)).ok()?;
    tables::METHODS.get(at)
}
