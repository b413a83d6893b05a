-- name: add_invitation(id, workspace_id, email, role, token_hash, created_by, expires_in_s, most)^
-- Add an invitation, unless its workspace has too many.
INSERT INTO invitations (id, workspace_id, email, role, token_hash, created_by, expires_at)
SELECT :id, :workspace_id, :email, :role, :token_hash, :created_by, now() + make_interval(secs => :expires_in_s)
WHERE (SELECT count(*) FROM invitations WHERE workspace_id = :workspace_id) < :most
RETURNING id, email, role, created_by, created_at, expires_at;

-- name: list_invitations(workspace_id, after_key, after_id, most)
-- A page of the invitations to a workspace that can be accepted, the newest first.
SELECT id, email, role, created_by, created_at, expires_at FROM invitations
WHERE workspace_id = :workspace_id AND expires_at > now()
    AND (:after_key::timestamptz IS NULL OR (created_at, id) < (:after_key, :after_id))
ORDER BY created_at DESC, id DESC LIMIT :most;

-- name: delete_invitation(workspace_id, id)$
-- Delete an invitation to a workspace.
DELETE FROM invitations WHERE workspace_id = :workspace_id AND id = :id RETURNING id;

-- name: forget_invitations(workspace_id)!
-- Delete the invitations to a workspace that are over.
DELETE FROM invitations WHERE workspace_id = :workspace_id AND expires_at < now();

-- name: find_invitation(token_hash)^
-- The invitation that a token stands for, if it can be accepted.
SELECT id, workspace_id, email, role FROM invitations WHERE token_hash = :token_hash AND expires_at > now();

-- name: take_invitation(token_hash)^
-- Use an invitation up; of several at once, one succeeds.
DELETE FROM invitations WHERE token_hash = :token_hash AND expires_at > now() RETURNING id, workspace_id, email, role;

-- name: is_enabled(user_id)$
-- Whether a user is there and not disabled; so until the transaction ends.
SELECT true FROM users WHERE id = :user_id AND disabled_at IS NULL FOR SHARE;
