-- name: add_enrolment_token(id, workspace_id, name, token_hash, groups, uses, created_by, expires_in_s, most)^
-- Add an enrolment token, unless its workspace has too many.
INSERT INTO enrolment_tokens (id, workspace_id, name, token_hash, groups, uses_left, created_by, expires_at)
SELECT
    :id, :workspace_id, :name, :token_hash, :groups::text[], :uses, :created_by,
    now() + make_interval(secs => :expires_in_s)
WHERE (SELECT count(*) FROM enrolment_tokens WHERE workspace_id = :workspace_id) < :most
RETURNING id, name, uses_left, groups, created_by, created_at, expires_at;

-- name: list_enrolment_tokens(workspace_id)
-- The enrolment tokens of a workspace, the newest first.
SELECT id, name, uses_left, groups, created_by, created_at, expires_at
FROM enrolment_tokens WHERE workspace_id = :workspace_id ORDER BY created_at DESC, id;

-- name: delete_enrolment_token(workspace_id, id)$
-- Delete an enrolment token of a workspace.
DELETE FROM enrolment_tokens WHERE workspace_id = :workspace_id AND id = :id RETURNING id;

-- name: forget_enrolment_tokens(workspace_id)!
-- Delete the tokens of a workspace that have been of no use for a week.
DELETE FROM enrolment_tokens WHERE workspace_id = :workspace_id AND expires_at < now() - interval '7 days';
