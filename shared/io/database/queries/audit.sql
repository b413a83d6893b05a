-- name: lock_head(workspace_id)^
-- The end of a chain, which nobody else may move until the transaction ends.
SELECT seq, hash FROM audit_heads WHERE workspace_id = :workspace_id FOR UPDATE;

-- name: begin_chain(workspace_id, hash)!
-- Give a chain its head, unless it has one.
INSERT INTO audit_heads (workspace_id, seq, hash) VALUES (:workspace_id, 0, :hash) ON CONFLICT DO NOTHING;

-- name: add_links!
-- Add links to a chain whose head is locked, and move the head to the last of them.
WITH added AS (
    INSERT INTO audit_log (
        workspace_id, seq, at, actor, action, resource, record_id, version, origin, request_id, details,
        previous_hash, hash)
    SELECT
        :workspace_id, seq, at, actor, action, resource, record_id, version, origin, request_id, details::jsonb,
        previous_hash, hash
    FROM unnest(
        :seqs::bigint[], :ats::timestamptz[], :actors::text[], :actions::text[], :resources::text[],
        :record_ids::text[], :versions::bigint[], :origins::text[], :request_ids::text[], :details::text[],
        :previous_hashes::bytea[], :hashes::bytea[])
        AS l (seq, at, actor, action, resource, record_id, version, origin, request_id, details, previous_hash, hash)
)
UPDATE audit_heads SET seq = :last_seq, hash = :last_hash WHERE workspace_id = :workspace_id;

-- name: heads()
-- The recorded end of each chain, and of those that have lost theirs.
SELECT
    coalesce(h.workspace_id, c.workspace_id) AS workspace_id, coalesce(h.seq, 0) AS seq,
    coalesce(h.hash, decode(repeat('00', 32), 'hex')) AS hash
FROM audit_heads h
FULL JOIN (SELECT DISTINCT workspace_id FROM audit_log) c ON c.workspace_id = h.workspace_id
ORDER BY 1;

-- name: chains_of_user(user_id)
-- The workspaces of a user, in whose chains stands what they do to their account.
SELECT workspace_id FROM members WHERE user_id = :user_id ORDER BY workspace_id;
