-- name: one_at_a_time()^
-- Let only one setup run at once; held until the transaction ends.
SELECT pg_advisory_xact_lock(hashtext('muster setup'));

-- name: first_workspace()$
-- The oldest workspace.
SELECT id FROM workspaces ORDER BY created_at, id LIMIT 1;

-- name: add_workspace(id, name)!
-- Create a workspace.
INSERT INTO workspaces (id, name) VALUES (:id, :name);

-- name: find_user(email)^
-- The user with this e-mail address, however it is capitalised.
SELECT id, password_hash FROM users WHERE lower(email) = lower(:email);

-- name: add_administrator(id, email, password_hash)!
-- Create a user who administers the installation.
INSERT INTO users (id, email, password_hash, is_admin) VALUES (:id, :email, :password_hash, true);

-- name: make_administrator(id)$
-- Let a user administer the installation; gives nothing when they do already.
UPDATE users SET is_admin = true WHERE id = :id AND NOT is_admin RETURNING id;

-- name: set_password(id, password_hash)!
-- Give a user another password.
UPDATE users SET password_hash = :password_hash WHERE id = :id;

-- name: end_sessions(user_id)!
-- Revoke all sessions of a user.
UPDATE sessions SET revoked_at = now() WHERE user_id = :user_id AND revoked_at IS NULL;

-- name: add_owner(workspace_id, user_id)$
-- Make a user the owner of a workspace that they are no member of; gives nothing when they are.
INSERT INTO members (workspace_id, user_id, role) VALUES (:workspace_id, :user_id, 'owner') ON CONFLICT DO NOTHING
RETURNING user_id;

-- name: has_signing_key()$
-- Whether tokens can be signed.
SELECT EXISTS (SELECT FROM signing_keys);

-- name: add_signing_key(id, secret)!
-- Add a key; the newest one signs.
INSERT INTO signing_keys (id, secret) VALUES (:id, :secret);

-- name: delete_old_signing_keys(lasts_s)!
-- Delete the keys that another has replaced for so long that no token signed with them is still good.
DELETE FROM signing_keys k
WHERE EXISTS (
    SELECT FROM signing_keys newer
    WHERE newer.created_at > k.created_at AND newer.created_at < now() - make_interval(secs => :lasts_s)
);
