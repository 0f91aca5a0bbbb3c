-- That a sealed volume was not sealed the last time. Twin of ../postgres/0041_unsealed_volumes.sql.
--
-- An earlier program shows nothing of it, and takes nothing back.

ALTER TABLE containers ADD COLUMN unsealed_since INTEGER;
ALTER TABLE containers ADD COLUMN unsealed_why TEXT;
ALTER TABLE containers ADD COLUMN unsealed_lost INTEGER NOT NULL DEFAULT 0;
