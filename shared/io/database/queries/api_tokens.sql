-- name: add_api_token(id, workspace_id, user_id, name, scopes, token_hash, expires_in_s, most)^
-- Add an API token of a member, unless they have too many.
INSERT INTO api_tokens (id, workspace_id, user_id, name, scopes, token_hash, expires_at)
SELECT
    :id, :workspace_id, :user_id, :name, :scopes::text[], :token_hash,
    now() + make_interval(secs => :expires_in_s::double precision)
WHERE (SELECT count(*) FROM api_tokens WHERE workspace_id = :workspace_id AND user_id = :user_id) < :most
RETURNING id, name, scopes, user_id, created_at, expires_at, last_used_at;

-- name: list_api_tokens(workspace_id, user_id, of_all, after_key, after_id, most)
-- A page of the API tokens of a member, or of all, in a workspace, the newest first.
SELECT id, name, scopes, user_id, created_at, expires_at, last_used_at FROM api_tokens
WHERE workspace_id = :workspace_id AND (user_id = :user_id OR :of_all)
    AND (:after_key::timestamptz IS NULL OR (created_at, id) < (:after_key, :after_id))
ORDER BY created_at DESC, id DESC LIMIT :most;

-- name: delete_api_token(workspace_id, user_id, of_all, id)$
-- Revoke an API token of a member, or of any, in a workspace.
DELETE FROM api_tokens WHERE workspace_id = :workspace_id AND (user_id = :user_id OR :of_all) AND id = :id
RETURNING user_id;

-- name: forget_api_tokens(workspace_id)!
-- Delete the API tokens of a workspace that have been over for a week.
DELETE FROM api_tokens WHERE workspace_id = :workspace_id AND expires_at < now() - interval '7 days';
