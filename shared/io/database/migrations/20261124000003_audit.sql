-- migrate:up

-- Who did what to which record from where. The entries of a workspace are a chain of hashes, see shared/audit.py; the
-- workspace '' has what concerns none. Nothing refers to other tables: an entry outlives what it speaks of.
CREATE TABLE audit_log (
    workspace_id text NOT NULL,
    seq bigint NOT NULL,
    at timestamptz NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    resource text NOT NULL,
    record_id text NOT NULL,
    version bigint,
    origin text NOT NULL,
    request_id text NOT NULL,
    details jsonb NOT NULL,
    previous_hash bytea NOT NULL,
    hash bytea NOT NULL,
    PRIMARY KEY (workspace_id, seq)
);
CREATE INDEX audit_log_record ON audit_log (workspace_id, resource, record_id, seq);
CREATE INDEX audit_log_actor ON audit_log (workspace_id, actor, seq);

-- The end of each chain, so that one that was cut off is noticed. Whoever adds to a chain locks its row.
CREATE TABLE audit_heads (
    workspace_id text PRIMARY KEY,
    seq bigint NOT NULL,
    hash bytea NOT NULL
);

CREATE FUNCTION refuse_change_of_audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is only added to' USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE TRIGGER audit_log_is_only_added_to BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_audit();
CREATE TRIGGER audit_heads_stay BEFORE DELETE OR TRUNCATE ON audit_heads
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_audit();
CREATE TRIGGER audit_heads_only_advance BEFORE UPDATE ON audit_heads
    FOR EACH ROW WHEN (new.workspace_id <> old.workspace_id OR new.seq <= old.seq)
    EXECUTE FUNCTION refuse_change_of_audit();

-- migrate:down

DROP TABLE audit_heads, audit_log;
DROP FUNCTION refuse_change_of_audit;
