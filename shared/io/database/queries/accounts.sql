-- name: find_user(email)^
-- The user with this e-mail address, however it is capitalised.
SELECT id, email, password_hash FROM users WHERE lower(email) = lower(:email);

-- name: find_user_by_id(id)^
-- A user.
SELECT id, email, password_hash FROM users WHERE id = :id;

-- name: lock_user(id, password_hash)$
-- Whether a user is not disabled and still has the password that was verified; so until the transaction ends.
SELECT true FROM users WHERE id = :id AND password_hash = :password_hash AND disabled_at IS NULL FOR SHARE;

-- name: set_password(id, password_hash)!
-- Give a user another password.
UPDATE users SET password_hash = :password_hash WHERE id = :id;

-- name: end_other_sessions(user_id, kept)!
-- Revoke all sessions of a user but one.
UPDATE sessions SET revoked_at = now() WHERE user_id = :user_id AND id <> :kept AND revoked_at IS NULL;

-- name: email_of(user_id)$
-- The e-mail address of a user.
SELECT email FROM users WHERE id = :user_id;

-- name: add_session(id, user_id, expires_at)!
-- Open a session.
INSERT INTO sessions (id, user_id, expires_at) VALUES (:id, :user_id, :expires_at);

-- name: forget_sessions(user_id)!
-- Delete the sessions of a user that are over.
DELETE FROM sessions WHERE user_id = :user_id AND expires_at < now();

-- name: end_session(id)!
-- Revoke a session, and with it every token that descends from it.
UPDATE sessions SET revoked_at = now() WHERE id = :id AND revoked_at IS NULL;

-- name: standing_session(id)^
-- The user of a session that is neither revoked nor over.
SELECT user_id FROM sessions WHERE id = :id AND revoked_at IS NULL AND expires_at > now();

-- name: add_refresh_token(token_hash, session_id)!
-- Add a refresh token to a session.
INSERT INTO refresh_tokens (token_hash, session_id) VALUES (:token_hash, :session_id);

-- name: spend_refresh_token(token_hash)$
-- Spend a refresh token that is still good and return its session; of several at once, one succeeds.
UPDATE refresh_tokens SET spent_at = now() WHERE token_hash = :token_hash AND spent_at IS NULL RETURNING session_id;

-- name: session_of_refresh_token(token_hash)^
-- The session of a refresh token, spent or not.
SELECT s.id, s.user_id FROM refresh_tokens r JOIN sessions s ON s.id = r.session_id WHERE r.token_hash = :token_hash;
