-- From here on the role of tenants' work sees the rows of the tenant that its transaction names (`ocmt.tenant`) and
-- no others. The policies are written with the rights, for the roles that the database has
-- (cluster/store/src/migrate/policies.rs); this step says which programs name their tenant.

COMMENT ON TABLE tenants IS 'a transaction of a tenant names it in ocmt.tenant (docs/postgresql.md)';
