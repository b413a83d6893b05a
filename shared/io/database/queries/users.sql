-- name: list_users(after_key, after_id, most)
-- A page of the users, by e-mail address.
SELECT id, email, is_admin, disabled_at IS NOT NULL AS disabled, created_at FROM users
WHERE :after_key::text IS NULL OR (lower(email), id) > (:after_key, :after_id)
ORDER BY lower(email), id LIMIT :most;

-- name: find_user(id)^
-- A user.
SELECT id, email, is_admin, disabled_at IS NOT NULL AS disabled, created_at FROM users WHERE id = :id;

-- name: add_user(id, email, password_hash, is_admin)^
-- Create a user, unless the e-mail address is taken.
INSERT INTO users (id, email, password_hash, is_admin) VALUES (:id, :email, :password_hash, :is_admin)
ON CONFLICT DO NOTHING
RETURNING id, email, is_admin, false AS disabled, created_at;

-- name: lock_administrators()!
-- Let only one at a time change who administers the installation; held until the transaction ends.
SELECT pg_advisory_xact_lock(hashtext('muster administrators'));

-- name: change_user(id, is_admin, disabled)^
-- Change of a user what is given; the time of a first disabling stays.
UPDATE users SET
    is_admin = coalesce(:is_admin, is_admin),
    disabled_at = CASE
        WHEN :disabled::boolean THEN coalesce(disabled_at, now())
        WHEN NOT :disabled::boolean THEN NULL
        ELSE disabled_at
    END
WHERE id = :id
RETURNING id, email, is_admin, disabled_at IS NOT NULL AS disabled, created_at;

-- name: has_administrator()$
-- Whether somebody can administer the installation.
SELECT EXISTS (SELECT FROM users WHERE is_admin AND disabled_at IS NULL);

-- name: end_sessions(user_id)!
-- Revoke all sessions of a user.
UPDATE sessions SET revoked_at = now() WHERE user_id = :user_id AND revoked_at IS NULL;

-- name: lock_user(id)$
-- Let nobody make this user a member of anything until the transaction ends.
SELECT id FROM users WHERE id = :id FOR UPDATE;

-- name: lock_workspaces_of(user_id)
-- Let nobody else change who owns the workspaces of a user until the transaction ends.
SELECT w.id, m.role FROM workspaces w JOIN members m ON m.workspace_id = w.id
WHERE m.user_id = :user_id ORDER BY w.id FOR NO KEY UPDATE OF w;

-- name: delete_user(id)!
-- Delete a user, with their sessions, memberships and API tokens.
DELETE FROM users WHERE id = :id;
