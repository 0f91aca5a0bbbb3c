//! The frame around a tenant's transaction, and requests that only the lobby makes.
use ocmt_actors::api::auth::ConsumeLink;
use ocmt_actors::work::Work;
