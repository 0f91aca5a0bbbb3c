-- The roles of an OCMT database. Run once by an administrator (a superuser, or whoever has CREATEROLE and owns
-- the database), connected to the database that OCMT is to use:
--
--   psql --set ON_ERROR_STOP=1 --single-transaction --file roles.sql postgres://admin@host/ocmt
--
-- It makes roles without a login. Give each its own login, or one login that may assume all three (a node
-- whose login is a member of all three does so by itself):
--
--   CREATE ROLE ocmt_node LOGIN NOINHERIT PASSWORD '…' IN ROLE ocmt_tenant, ocmt_cluster, ocmt_migrate;
--
-- A login for each: docs/postgresql.md.
--
-- What each may do on the tables is granted by `ocmt migrate`, with the tables. Run `ocmt migrate` again after
-- making the roles of a database that was migrated without them.

DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['ocmt_tenant', 'ocmt_cluster', 'ocmt_migrate'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
        END IF;
    END LOOP;
    -- the schema belongs to whoever migrates, and to nobody else
    REVOKE CREATE ON SCHEMA public FROM PUBLIC;
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO ocmt_tenant, ocmt_cluster, ocmt_migrate', current_database());
END
$$;

GRANT USAGE ON SCHEMA public TO ocmt_tenant, ocmt_cluster;
GRANT USAGE, CREATE ON SCHEMA public TO ocmt_migrate;
-- whoever follows a dead node ends the sessions that it left open; superusers' sessions are out of its reach
GRANT pg_signal_backend TO ocmt_cluster;
-- and sees of the server that it was restarted
GRANT pg_read_all_stats TO ocmt_cluster;
