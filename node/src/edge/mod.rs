//! What stands between the network and the actors: ids and headers of answers, credentials, errors, where requests
//! may come from.

pub mod browser;
pub mod call;
pub(crate) mod cookies;
pub mod csrf;
pub mod door;
pub mod error;
pub mod guard;
pub mod headers;
pub(crate) mod pace;
mod proxies;
pub(crate) mod refusals;
pub mod site;
pub(crate) mod speech;
mod weigh;
