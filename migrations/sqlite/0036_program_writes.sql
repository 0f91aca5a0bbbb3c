-- The key with which a program signs what it writes by an approval, twin of ../postgres/0036_program_writes.sql.
--
-- Usable from itself on: an earlier program would end a token and leave standing what was sent by it.

ALTER TABLE capabilities ADD COLUMN sign_key BLOB;
