-- Twin of ../postgres/0002_row_security.sql. SQLite has no roles and no row security: one process has the file.

SELECT 1;
