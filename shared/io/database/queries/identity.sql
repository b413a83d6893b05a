-- name: find_session(session_id)
-- The memberships of the user of a session that stands; one row without a workspace for a user who has none.
SELECT s.user_id, s.expires_at, w.id AS workspace_id, w.name, m.role
FROM sessions s
LEFT JOIN members m ON m.user_id = s.user_id
LEFT JOIN workspaces w ON w.id = m.workspace_id
WHERE s.id = :session_id AND s.revoked_at IS NULL AND s.expires_at > now()
ORDER BY w.created_at, w.id;

-- name: standing_sessions(session_ids)
-- Those of the sessions that are neither revoked nor over.
SELECT id FROM sessions WHERE id = ANY(:session_ids) AND revoked_at IS NULL AND expires_at > now();

-- name: signing_keys()
-- Every key that tokens may be signed with, the newest first.
SELECT id, secret FROM signing_keys ORDER BY created_at DESC, id;
