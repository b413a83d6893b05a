-- name: list_users()
-- All users, by e-mail address.
SELECT id, email, is_admin, disabled_at IS NOT NULL AS disabled FROM users ORDER BY lower(email), id;
