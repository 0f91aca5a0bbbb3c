-- How long audits are kept, and what is kept of records that were pruned, twin of ../sqlite/0028_audit_retention.sql.
--
-- Usable from itself on: an earlier program would take an audit whose beginning was pruned for one that is damaged.

CREATE TABLE audit_leaves (
    tenant_id BYTEA NOT NULL,
    chunk     BIGINT NOT NULL,
    hashes    BYTEA NOT NULL,
    PRIMARY KEY (tenant_id, chunk)
);
CREATE TABLE audit_retention (
    tenant_id  BYTEA NOT NULL,
    keep_ms    BIGINT NOT NULL,
    policy_seq BIGINT NOT NULL,
    not_before BIGINT NOT NULL,
    cut        BIGINT NOT NULL,
    note       TEXT COLLATE "C" NOT NULL,
    signer     BYTEA NOT NULL,
    pruned_at  BIGINT,
    PRIMARY KEY (tenant_id)
);

-- The one way to take records from an audit, for the role of tenants' work, which may not delete them: 256 of the
-- transaction's tenant, none younger than 90 days by the database's own clock, and only where the hashes of these very records
-- are kept in their place.
CREATE FUNCTION ocmt_prune_audit(pruned BIGINT) RETURNS BIGINT
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    own    BYTEA := decode(current_setting('ocmt.tenant', true), 'hex');
    kept   BYTEA;
    actual BYTEA;
    newest BIGINT;
    gone   BIGINT;
BEGIN
    SELECT hashes INTO kept FROM public.audit_leaves WHERE tenant_id = own AND chunk = pruned;
    SELECT string_agg(sha256('\x00'::bytea || record), ''::bytea ORDER BY seq), max(at) INTO actual, newest
        FROM public.audit WHERE tenant_id = own AND seq > pruned * 256 AND seq <= (pruned + 1) * 256;
    IF kept IS NULL OR actual IS DISTINCT FROM kept OR length(kept) <> 8192 THEN
        RAISE EXCEPTION 'the hashes of these records are not kept' USING ERRCODE = 'check_violation';
    END IF;
    IF newest > extract(epoch FROM now() - interval '90 days') * 1000 THEN
        RAISE EXCEPTION 'these records are too young' USING ERRCODE = 'check_violation';
    END IF;
    DELETE FROM public.audit WHERE tenant_id = own AND seq > pruned * 256 AND seq <= (pruned + 1) * 256;
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END
$$;
REVOKE ALL ON FUNCTION ocmt_prune_audit(BIGINT) FROM PUBLIC;
