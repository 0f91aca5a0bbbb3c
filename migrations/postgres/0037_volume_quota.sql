-- What a container's volume was given, for the tenant's quota of storage. Twin of ../sqlite/0037_volume_quota.sql.
--
-- An earlier program would remove a container and leave its volume counted: usable from itself on.

ALTER TABLE containers ADD COLUMN volume_mib BIGINT NOT NULL DEFAULT 0;
