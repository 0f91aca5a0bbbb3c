//! What stands between the network and the actors: ids and headers of answers, credentials, errors.

pub mod call;
pub mod error;
pub mod guard;
pub mod headers;
