-- Until when gateway tokens of the sealing key before a planned one are good. Twin of ../sqlite/0035_gateway_overlap.sql.
--
-- An earlier program reads nothing of it, and refuses such tokens after a minute as before.

ALTER TABLE sealing_generations ADD COLUMN overlap_until BIGINT;
