-- name: add_relay(id, workspace_id, name, token_hash, created_by, expires_in_s, most)^
-- Add a relay, unless its workspace has too many.
INSERT INTO relays (id, workspace_id, name, token_hash, created_by, expires_at)
SELECT :id, :workspace_id, :name, :token_hash, :created_by, now() + make_interval(secs => :expires_in_s)
WHERE (SELECT count(*) FROM relays WHERE workspace_id = :workspace_id) < :most
RETURNING id, name, created_by, created_at, expires_at, last_used_at;

-- name: list_relays(workspace_id)
-- The relays of a workspace, the newest first.
SELECT id, name, created_by, created_at, expires_at, last_used_at
FROM relays WHERE workspace_id = :workspace_id ORDER BY created_at DESC, id;

-- name: delete_relay(workspace_id, id)$
-- Delete a relay of a workspace.
DELETE FROM relays WHERE workspace_id = :workspace_id AND id = :id RETURNING id;

-- name: forget_relays(workspace_id)!
-- Delete the relays of a workspace that have been over for a week.
DELETE FROM relays WHERE workspace_id = :workspace_id AND expires_at < now() - interval '7 days';

-- name: find_relays(token_hashes)
-- The relays with these tokens that are not over; that they are used is noted now and then.
WITH used AS (
    UPDATE relays SET last_used_at = now()
    WHERE token_hash = ANY(:token_hashes::bytea[])
        AND (expires_at IS NULL OR expires_at > now())
        AND (last_used_at IS NULL OR last_used_at < now() - interval '5 minutes')
)
SELECT token_hash, id, workspace_id, expires_at FROM relays
WHERE token_hash = ANY(:token_hashes::bytea[]) AND (expires_at IS NULL OR expires_at > now());

-- name: find_relayed_agents(workspace_ids, kinds, ids)
-- The agents that relays name by their own id or by their server's, each looked for in its relay's workspace only.
WITH wanted AS (
    SELECT * FROM unnest(:workspace_ids::text[], :kinds::text[], :ids::text[]) AS w (workspace_id, kind, id)
)
SELECT w.workspace_id, w.kind, w.id, c.agent_id, c.server_id
FROM wanted w JOIN agent_credentials c ON c.agent_id = w.id AND c.workspace_id = w.workspace_id
WHERE w.kind = 'agent' AND c.revoked_at IS NULL
UNION ALL
SELECT w.workspace_id, w.kind, w.id, c.agent_id, c.server_id
FROM wanted w JOIN agent_credentials c ON c.workspace_id = w.workspace_id AND c.server_id = w.id
WHERE w.kind = 'server' AND c.revoked_at IS NULL;
