-- Which sessions showed a passkey, twin of ../sqlite/0009_passkey_shown.sql.
--
-- Usable from itself on: an earlier program would take any second factor where the policy wants a passkey. Sessions
-- of before showed none that is known of: where the policy wants one they show it once more.

ALTER TABLE sessions ADD COLUMN passkey BIGINT NOT NULL DEFAULT 0;
