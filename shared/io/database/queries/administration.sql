-- name: list_users()
-- All users, by e-mail address.
SELECT id, email, is_admin, disabled_at IS NOT NULL AS disabled FROM users ORDER BY lower(email), id;

-- name: find_user(email)^
-- The user with this e-mail address, however it is capitalised.
SELECT id, email FROM users WHERE lower(email) = lower(:email);

-- name: set_password(id, password_hash)!
-- Give a user another password.
UPDATE users SET password_hash = :password_hash WHERE id = :id;
