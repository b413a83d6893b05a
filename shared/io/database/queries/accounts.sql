-- name: find_user(email)^
-- The user with this e-mail address, however it is capitalised.
SELECT id, password_hash FROM users WHERE lower(email) = lower(:email);

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

-- name: user_of_session(id)$
-- The user of a session, whether it stands or not.
SELECT user_id FROM sessions WHERE id = :id;

-- name: standing_session(id)^
-- The user of a session that is neither revoked nor over.
SELECT user_id FROM sessions WHERE id = :id AND revoked_at IS NULL AND expires_at > now();

-- name: add_refresh_token(token_hash, session_id)!
-- Add a refresh token to a session.
INSERT INTO refresh_tokens (token_hash, session_id) VALUES (:token_hash, :session_id);

-- name: spend_refresh_token(token_hash)$
-- Spend a refresh token that is still good and return its session; of several at once, one succeeds.
UPDATE refresh_tokens SET spent_at = now() WHERE token_hash = :token_hash AND spent_at IS NULL RETURNING session_id;

-- name: session_of_refresh_token(token_hash)$
-- The session of a refresh token, spent or not.
SELECT session_id FROM refresh_tokens WHERE token_hash = :token_hash;
