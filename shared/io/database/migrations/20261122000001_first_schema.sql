-- migrate:up

-- Accounts. Ids are made by the application: a letter, an underscore, 16 random characters.
CREATE TABLE workspaces (
    id text PRIMARY KEY,
    name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE users (
    id text PRIMARY KEY,
    email text NOT NULL,
    password_hash text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX users_email ON users (lower(email));

CREATE TABLE members (
    workspace_id text NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    user_id text NOT NULL REFERENCES users ON DELETE CASCADE,
    role text NOT NULL CHECK (role IN ('owner', 'editor', 'viewer')),
    PRIMARY KEY (workspace_id, user_id)
);
CREATE INDEX members_user ON members (user_id);

-- One row for each login: all refresh tokens that descend from it share its fate.
CREATE TABLE sessions (
    id text PRIMARY KEY,
    user_id text NOT NULL REFERENCES users ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz
);
CREATE INDEX sessions_user ON sessions (user_id);

CREATE TABLE refresh_tokens (
    token_hash bytea PRIMARY KEY,
    session_id text NOT NULL REFERENCES sessions ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    spent_at timestamptz
);
CREATE INDEX refresh_tokens_session ON refresh_tokens (session_id);

CREATE TABLE signing_keys (
    id text PRIMARY KEY,
    secret bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- Agents. A secret or a token is kept as its SHA-256 only. An enrolment that is repeated with the same token and
-- Idempotency-Key, because its answer was lost, is known by the SHA-256 of both.
CREATE TABLE enrolment_tokens (
    id text PRIMARY KEY,
    workspace_id text NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    name text NOT NULL,
    token_hash bytea NOT NULL UNIQUE,
    groups text[] NOT NULL DEFAULT '{}',
    uses_left integer NOT NULL CHECK (uses_left >= 0),
    created_by text REFERENCES users ON DELETE SET NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX enrolment_tokens_workspace ON enrolment_tokens (workspace_id);

CREATE TABLE agent_credentials (
    agent_id text PRIMARY KEY,
    workspace_id text NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    server_id text NOT NULL,
    secret_hash bytea NOT NULL UNIQUE,
    enrolment_hash bytea UNIQUE,
    name text NOT NULL,
    hostname text NOT NULL,
    machine_id text NOT NULL,
    groups text[] NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz
);
CREATE INDEX agent_credentials_server ON agent_credentials (workspace_id, server_id);

-- The change log's durable side. A seq of 0 is the entry that opens an epoch; `redis_run` tells which run of the
-- server the epoch was opened on.
CREATE TABLE checkpoints (
    partition integer PRIMARY KEY,
    epoch bigint NOT NULL DEFAULT 0,
    seq bigint NOT NULL DEFAULT 0,
    fence bigint NOT NULL DEFAULT 0,
    redis_run text NOT NULL DEFAULT '',
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE topics (
    workspace_id text NOT NULL,
    resource text NOT NULL,
    partition integer NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (workspace_id, resource)
);
CREATE INDEX topics_partition ON topics (partition);

CREATE TABLE operations (
    id text PRIMARY KEY,
    partition integer NOT NULL,
    epoch bigint NOT NULL,
    seq bigint NOT NULL,
    prev bigint NOT NULL,
    version bigint NOT NULL,
    rejected text,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX operations_partition ON operations (partition, created_at);

CREATE TABLE dead_letters (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    partition integer NOT NULL,
    epoch bigint NOT NULL,
    seq bigint NOT NULL,
    workspace_id text NOT NULL,
    resource text NOT NULL,
    record_id text NOT NULL,
    version bigint NOT NULL,
    action text NOT NULL,
    data text,
    sqlstate text NOT NULL,
    reason text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    compensated_at timestamptz
);
CREATE INDEX dead_letters_pending ON dead_letters (partition, id) WHERE compensated_at IS NULL;

-- Resources: one table each, its columns named as the record's fields.
CREATE TABLE servers (
    workspace_id text NOT NULL,
    id text NOT NULL,
    version bigint NOT NULL,
    name text NOT NULL,
    hostname text NOT NULL,
    machine_id text NOT NULL,
    status text NOT NULL,
    last_seen timestamptz,
    tags text[] NOT NULL,
    groups text[] NOT NULL,
    notes text NOT NULL,
    hidden boolean NOT NULL,
    position integer NOT NULL,
    os jsonb NOT NULL,
    agent_version text NOT NULL,
    provider text NOT NULL,
    price double precision,
    currency text NOT NULL,
    billing_cycle text NOT NULL,
    expires_at timestamptz,
    traffic_limit_bytes bigint,
    PRIMARY KEY (workspace_id, id)
);

CREATE TABLE agents (
    workspace_id text NOT NULL,
    id text NOT NULL,
    version bigint NOT NULL,
    name text NOT NULL,
    groups text[] NOT NULL,
    healthy boolean NOT NULL,
    last_heartbeat timestamptz NOT NULL,
    clients_count bigint NOT NULL,
    sync_revision bigint NOT NULL,
    server_id text NOT NULL,
    agent_version text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, id)
);

CREATE TABLE metrics (
    workspace_id text NOT NULL,
    id text NOT NULL,
    version bigint NOT NULL,
    ts timestamptz NOT NULL,
    boot_id text,
    seq bigint,
    cpu_percent double precision,
    load1 double precision,
    load5 double precision,
    load15 double precision,
    mem_used bigint,
    mem_total bigint,
    swap_used bigint,
    swap_total bigint,
    disk_used bigint,
    disk_total bigint,
    disk_read_rate double precision,
    disk_write_rate double precision,
    net_rx_total bigint,
    net_tx_total bigint,
    net_rx_rate double precision,
    net_tx_rate double precision,
    tcp_connections bigint,
    udp_connections bigint,
    processes bigint,
    uptime_s double precision,
    temperatures jsonb,
    gpus jsonb,
    disks jsonb,
    interfaces jsonb,
    containers jsonb,
    PRIMARY KEY (workspace_id, id)
);

-- Every sample, at its own time; a partition a day, dropped whole when its time has come.
CREATE TABLE metrics_history (
    server_id text NOT NULL,
    ts timestamptz NOT NULL,
    boot_id text,
    seq bigint,
    cpu_percent real,
    load1 real,
    load5 real,
    load15 real,
    mem_used bigint,
    mem_total bigint,
    swap_used bigint,
    swap_total bigint,
    disk_used bigint,
    disk_total bigint,
    disk_read_rate real,
    disk_write_rate real,
    net_rx_total bigint,
    net_tx_total bigint,
    net_rx_rate real,
    net_tx_rate real,
    tcp_connections bigint,
    udp_connections bigint,
    processes bigint,
    uptime_s real,
    details jsonb
) PARTITION BY RANGE (ts);
CREATE INDEX metrics_history_server_ts ON metrics_history (server_id, ts);

-- Samples far outside of the days that have partitions are kept all the same.
CREATE TABLE metrics_history_default PARTITION OF metrics_history DEFAULT;

CREATE FUNCTION ensure_metrics_day(day date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    partition_name text := 'metrics_history_' || to_char(day, 'YYYYMMDD');
    first_moment timestamptz := day::timestamp AT TIME ZONE 'UTC';
    last_moment timestamptz := (day + 1)::timestamp AT TIME ZONE 'UTC';
BEGIN
    IF to_regclass(partition_name) IS NOT NULL THEN
        RETURN;
    END IF;
    -- two processes may want the same day at once
    PERFORM pg_advisory_xact_lock(hashtext('ensure_metrics_day'));
    IF to_regclass(partition_name) IS NOT NULL THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE metrics_history INCLUDING ALL)', partition_name);
    -- samples of that day may have come before its partition did
    EXECUTE format(
        'WITH moved AS (DELETE FROM metrics_history_default WHERE ts >= $1 AND ts < $2 RETURNING *) '
        'INSERT INTO %I SELECT * FROM moved', partition_name)
    USING first_moment, last_moment;
    EXECUTE format(
        'ALTER TABLE metrics_history ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
        partition_name, first_moment, last_moment);
END
$$;

-- migrate:down

DROP FUNCTION ensure_metrics_day;
DROP TABLE metrics_history, metrics, agents, servers, dead_letters, operations, topics, checkpoints,
    agent_credentials, enrolment_tokens, signing_keys, refresh_tokens, sessions, members, users, workspaces;
