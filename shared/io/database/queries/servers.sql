-- name: revoke_agents(workspace_id, server_id)
-- Take the agents of a server their credentials, and return who they were; those revoked before as well.
UPDATE agent_credentials SET revoked_at = coalesce(revoked_at, now())
WHERE workspace_id = :workspace_id AND server_id = :server_id
RETURNING agent_id;
