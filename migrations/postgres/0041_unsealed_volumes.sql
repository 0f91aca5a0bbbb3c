-- That a sealed volume was not sealed the last time. Twin of ../sqlite/0041_unsealed_volumes.sql.
--
-- An earlier program shows nothing of it, and takes nothing back.

ALTER TABLE containers ADD COLUMN unsealed_since BIGINT;
ALTER TABLE containers ADD COLUMN unsealed_why TEXT COLLATE "C";
ALTER TABLE containers ADD COLUMN unsealed_lost BIGINT NOT NULL DEFAULT 0;
