-- Grants are found by their entry: at its end, and by who administers it. Twin of ../postgres/0039_grants_by_entry.sql.
--
-- An earlier program asks the same and finds it too.

CREATE INDEX share_grants_by_object_id ON share_grants (tenant_id, object_id);
CREATE INDEX program_grants_by_object_id ON program_grants (tenant_id, object_id);
