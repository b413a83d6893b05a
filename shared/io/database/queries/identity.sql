-- name: find_session(session_id)
-- The memberships of the user of a session that stands; one row without a workspace for a user who has none.
SELECT s.id, s.user_id, u.is_admin, s.expires_at, w.id AS workspace_id, w.name, m.role
FROM sessions s
JOIN users u ON u.id = s.user_id AND u.disabled_at IS NULL
LEFT JOIN members m ON m.user_id = s.user_id
LEFT JOIN workspaces w ON w.id = m.workspace_id
WHERE s.id = :session_id AND s.revoked_at IS NULL AND s.expires_at > now()
ORDER BY w.created_at, w.id;

-- name: find_api_token(token_hash)^
-- The membership that an API token is bound to; that it is used is noted now and then.
WITH used AS (
    UPDATE api_tokens SET last_used_at = now()
    WHERE token_hash = :token_hash AND (last_used_at IS NULL OR last_used_at < now() - interval '5 minutes')
)
SELECT t.id, t.user_id, t.scopes, t.expires_at, w.id AS workspace_id, w.name, m.role
FROM api_tokens t
JOIN users u ON u.id = t.user_id AND u.disabled_at IS NULL
JOIN members m ON m.workspace_id = t.workspace_id AND m.user_id = t.user_id
JOIN workspaces w ON w.id = t.workspace_id
WHERE t.token_hash = :token_hash AND (t.expires_at IS NULL OR t.expires_at > now());

-- name: standing_logins(ids)
-- Those of the sessions and API tokens that are neither revoked nor over, with the memberships that they lead to.
SELECT s.id, w.id AS workspace_id, w.name, m.role, NULL::text[] AS scopes
FROM sessions s
JOIN users u ON u.id = s.user_id AND u.disabled_at IS NULL
LEFT JOIN members m ON m.user_id = s.user_id
LEFT JOIN workspaces w ON w.id = m.workspace_id
WHERE s.id = ANY(:ids) AND s.revoked_at IS NULL AND s.expires_at > now()
UNION ALL
SELECT t.id, w.id, w.name, m.role, t.scopes
FROM api_tokens t
JOIN users u ON u.id = t.user_id AND u.disabled_at IS NULL
JOIN members m ON m.workspace_id = t.workspace_id AND m.user_id = t.user_id
JOIN workspaces w ON w.id = t.workspace_id
WHERE t.id = ANY(:ids) AND (t.expires_at IS NULL OR t.expires_at > now());

-- name: signing_keys(lasts_s)
-- The keys that tokens may still be signed with, the newest first: one that another has replaced for so long is over.
SELECT id, secret FROM signing_keys k
WHERE NOT EXISTS (
    SELECT FROM signing_keys newer
    WHERE newer.created_at > k.created_at AND newer.created_at < now() - make_interval(secs => :lasts_s)
)
ORDER BY created_at DESC, id;
