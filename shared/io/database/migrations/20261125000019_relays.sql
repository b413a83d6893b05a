-- migrate:up

-- What sends samples for many agents of its workspace.
CREATE TABLE relays (
    id text PRIMARY KEY,
    workspace_id text NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    name text NOT NULL,
    token_hash bytea NOT NULL UNIQUE,
    created_by text,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    last_used_at timestamptz
);

CREATE INDEX relays_workspace ON relays (workspace_id, created_at);

-- migrate:down

DROP TABLE relays;
