-- Containers that are removed with their volume, twin of ../sqlite/0026_erased_volumes.sql.
--
-- Usable from itself on: an earlier program would remove such a container and leave its volume.

ALTER TABLE containers ADD COLUMN erase_volume BIGINT NOT NULL DEFAULT 0;
