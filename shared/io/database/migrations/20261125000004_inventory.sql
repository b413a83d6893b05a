-- migrate:up

-- What machines are made of, as their agents said last. While the digest stays, nothing was told that is not here.
CREATE TABLE inventories (
    workspace_id text NOT NULL,
    server_id text NOT NULL,
    digest bytea NOT NULL,
    inventory jsonb NOT NULL,
    os jsonb NOT NULL,
    told_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, server_id)
);

-- Each version of it: what differs from the one before, as {field: [before, after]}.
CREATE TABLE inventory_changes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id text NOT NULL,
    server_id text NOT NULL,
    at timestamptz NOT NULL,
    difference jsonb NOT NULL
);
CREATE INDEX inventory_changes_server ON inventory_changes (workspace_id, server_id, at, id);

-- migrate:down

DROP TABLE inventory_changes, inventories;
