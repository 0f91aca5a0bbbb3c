-- Ceremonies are counted by what they are for and where they are, for operators. Twin of ../sqlite/0038_ceremonies_by_purpose.sql.
--
-- An index alone: usable from 37 on. It is a step of its own also for the rights, which are written with the steps: work across
-- tenants may read those two columns from here on (cluster/store/src/migrate/roles.rs).

CREATE INDEX ceremonies_by_purpose ON ceremonies (purpose, state);
