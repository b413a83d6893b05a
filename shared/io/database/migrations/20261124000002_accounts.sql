-- migrate:up

-- Administrators of the installation manage its users; whoever was first is one.
ALTER TABLE users
    ADD COLUMN is_admin boolean NOT NULL DEFAULT false,
    ADD COLUMN disabled_at timestamptz;
UPDATE users SET is_admin = true WHERE id = (SELECT id FROM users ORDER BY created_at, id LIMIT 1);

-- An invitation is deleted when it is accepted; the token is kept as its SHA-256 only.
CREATE TABLE invitations (
    id text PRIMARY KEY,
    workspace_id text NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    email text NOT NULL,
    role text NOT NULL CHECK (role IN ('owner', 'editor', 'viewer')),
    token_hash bytea NOT NULL UNIQUE,
    created_by text REFERENCES users ON DELETE SET NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX invitations_workspace ON invitations (workspace_id, created_at);

-- Programs sign in with these. A token ends with the membership of who made it; it is kept as its SHA-256 only.
CREATE TABLE api_tokens (
    id text PRIMARY KEY,
    workspace_id text NOT NULL,
    user_id text NOT NULL,
    name text NOT NULL,
    scopes text[] NOT NULL CHECK (scopes <@ ARRAY['read', 'write', 'admin']),
    token_hash bytea NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    last_used_at timestamptz,
    FOREIGN KEY (workspace_id, user_id) REFERENCES members ON DELETE CASCADE
);
CREATE INDEX api_tokens_member ON api_tokens (workspace_id, user_id);

-- migrate:down

DROP TABLE api_tokens, invitations;
ALTER TABLE users DROP COLUMN is_admin, DROP COLUMN disabled_at;
