//! The messages of a tenant's children, and of the tenant itself.
use ocmt_actors::tenant::TenantMessage;
use ocmt_actors::tenant::session::SessionMessage;
use ocmt_actors::tenant::vault::VaultMessage;
