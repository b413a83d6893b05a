-- name: add_workspace(id, name)!
-- Create a workspace.
INSERT INTO workspaces (id, name) VALUES (:id, :name);

-- name: add_member(workspace_id, user_id, role)!
-- Make a user a member; one who is a member already keeps their role.
INSERT INTO members (workspace_id, user_id, role) VALUES (:workspace_id, :user_id, :role) ON CONFLICT DO NOTHING;

-- name: membership(workspace_id, user_id)^
-- A user's membership, with the name of the workspace.
SELECT w.id, w.name, m.role FROM members m JOIN workspaces w ON w.id = m.workspace_id
WHERE m.workspace_id = :workspace_id AND m.user_id = :user_id;

-- name: name_of_workspace(id)$
-- What a workspace is called.
SELECT name FROM workspaces WHERE id = :id;

-- name: rename_workspace(id, name)!
-- Rename a workspace.
UPDATE workspaces SET name = :name WHERE id = :id;

-- name: lock_workspace(id)$
-- Let nobody else change who owns a workspace until the transaction ends.
SELECT id FROM workspaces WHERE id = :id FOR NO KEY UPDATE;

-- name: delete_workspace(id)$
-- Delete a workspace, with its memberships, invitations and tokens.
DELETE FROM workspaces WHERE id = :id RETURNING id;

-- name: member_ids(workspace_id)
-- The users who are members of a workspace.
SELECT user_id FROM members WHERE workspace_id = :workspace_id;

-- name: list_members(workspace_id, after_key, after_id, most)
-- A page of the members of a workspace, by e-mail address.
SELECT u.id, u.email, m.role, u.disabled_at IS NOT NULL AS disabled
FROM members m JOIN users u ON u.id = m.user_id
WHERE m.workspace_id = :workspace_id
    AND (:after_key::text IS NULL OR (lower(u.email), u.id) > (:after_key, :after_id))
ORDER BY lower(u.email), u.id LIMIT :most;

-- name: find_member(workspace_id, user_id)^
-- A member of a workspace.
SELECT u.id, u.email, m.role, u.disabled_at IS NOT NULL AS disabled
FROM members m JOIN users u ON u.id = m.user_id
WHERE m.workspace_id = :workspace_id AND m.user_id = :user_id;

-- name: set_role(workspace_id, user_id, role)!
-- Give a member another role.
UPDATE members SET role = :role WHERE workspace_id = :workspace_id AND user_id = :user_id;

-- name: remove_member(workspace_id, user_id)!
-- End a membership, and the API tokens that rest on it.
DELETE FROM members WHERE workspace_id = :workspace_id AND user_id = :user_id;

-- name: has_owner(workspace_id)$
-- Whether a workspace has an owner who can sign in.
SELECT EXISTS (
    SELECT FROM members m JOIN users u ON u.id = m.user_id
    WHERE m.workspace_id = :workspace_id AND m.role = 'owner' AND u.disabled_at IS NULL
);
