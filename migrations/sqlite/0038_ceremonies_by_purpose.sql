-- Ceremonies are counted by what they are for and where they are, for operators, twin of ../postgres/0038_ceremonies_by_purpose.sql.
--
-- An index alone: usable from 37 on.

CREATE INDEX ceremonies_by_purpose ON ceremonies (purpose, state);
