CREATE FUNCTION public.ensure_metrics_day(day date) RETURNS void
    LANGUAGE plpgsql
    AS $_$
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
$_$;

CREATE FUNCTION public.ensure_metrics_partition(parent text, first_moment timestamp with time zone, length interval) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    partition_name text := parent || '_' || to_char(first_moment AT TIME ZONE 'UTC', 'YYYYMMDD');
BEGIN
    IF to_regclass(partition_name) IS NOT NULL THEN
        RETURN;
    END IF;
    -- two processes may want the same one at once
    PERFORM pg_advisory_xact_lock(hashtext('ensure_metrics_partition'));
    IF to_regclass(partition_name) IS NOT NULL THEN
        RETURN;
    END IF;
    -- made first and attached then: readers of the others are not kept waiting
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', partition_name, parent);
    EXECUTE format(
        'ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
        parent, partition_name, first_moment, first_moment + length);
END
$$;

CREATE FUNCTION public.refuse_change_of_audit() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is only added to' USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE TABLE public.agent_credentials (
    agent_id text NOT NULL,
    workspace_id text NOT NULL,
    server_id text NOT NULL,
    secret_hash bytea NOT NULL,
    enrolment_hash bytea,
    name text NOT NULL,
    hostname text NOT NULL,
    machine_id text NOT NULL,
    groups text[] DEFAULT '{}'::text[] NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    revoked_at timestamp with time zone,
    next_secret_hash bytea,
    rotated_at timestamp with time zone,
    rotation_wanted boolean DEFAULT false NOT NULL,
    claimed_at timestamp with time zone,
    claim_machine_id text,
    claim_hostname text,
    claim_address text,
    approved_until timestamp with time zone
);

CREATE TABLE public.agents (
    workspace_id text NOT NULL,
    id text NOT NULL,
    version bigint NOT NULL,
    name text NOT NULL,
    groups text[] NOT NULL,
    healthy boolean NOT NULL,
    last_heartbeat timestamp with time zone NOT NULL,
    clients_count bigint NOT NULL,
    sync_revision bigint NOT NULL,
    server_id text NOT NULL,
    agent_version text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    clock_skew_s double precision
);

CREATE TABLE public.api_tokens (
    id text NOT NULL,
    workspace_id text NOT NULL,
    user_id text NOT NULL,
    name text NOT NULL,
    scopes text[] NOT NULL,
    token_hash bytea NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone,
    last_used_at timestamp with time zone,
    CONSTRAINT api_tokens_scopes_check CHECK ((scopes <@ ARRAY['read'::text, 'write'::text, 'admin'::text]))
);

CREATE TABLE public.attributes (
    workspace_id text NOT NULL,
    id text NOT NULL,
    version bigint NOT NULL,
    name text NOT NULL,
    kind text NOT NULL,
    options text[] NOT NULL,
    required boolean NOT NULL,
    "position" integer NOT NULL
);

CREATE TABLE public.audit_heads (
    workspace_id text NOT NULL,
    seq bigint NOT NULL,
    hash bytea NOT NULL
);

CREATE TABLE public.audit_log (
    workspace_id text NOT NULL,
    seq bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    resource text NOT NULL,
    record_id text NOT NULL,
    version bigint,
    origin text NOT NULL,
    request_id text NOT NULL,
    details jsonb NOT NULL,
    previous_hash bytea NOT NULL,
    hash bytea NOT NULL
);

CREATE TABLE public.categories (
    workspace_id text NOT NULL,
    id text NOT NULL,
    version bigint NOT NULL,
    name text NOT NULL,
    parent_id text NOT NULL,
    color text NOT NULL,
    "position" integer NOT NULL
);

CREATE TABLE public.checkpoints (
    partition integer NOT NULL,
    epoch bigint DEFAULT 0 NOT NULL,
    seq bigint DEFAULT 0 NOT NULL,
    fence bigint DEFAULT 0 NOT NULL,
    redis_run text DEFAULT ''::text NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    closed_until timestamp with time zone DEFAULT date_trunc('day'::text, now(), 'UTC'::text) NOT NULL
);

CREATE TABLE public.dead_letters (
    id bigint NOT NULL,
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
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    compensated_at timestamp with time zone
);

ALTER TABLE public.dead_letters ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.dead_letters_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.dining_tables (
    workspace_id text NOT NULL,
    id text NOT NULL,
    version bigint NOT NULL,
    name text NOT NULL,
    zone_id text NOT NULL,
    capacity integer NOT NULL,
    status text NOT NULL,
    "position" integer NOT NULL
);

CREATE TABLE public.employees (
    workspace_id text NOT NULL,
    id text NOT NULL,
    version bigint NOT NULL,
    name text NOT NULL,
    email text NOT NULL,
    phone text NOT NULL,
    role_id text NOT NULL,
    active boolean NOT NULL
);

CREATE TABLE public.enrolment_tokens (
    id text NOT NULL,
    workspace_id text NOT NULL,
    name text NOT NULL,
    token_hash bytea NOT NULL,
    groups text[] DEFAULT '{}'::text[] NOT NULL,
    uses_left integer NOT NULL,
    created_by text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT enrolment_tokens_uses_left_check CHECK ((uses_left >= 0))
);

CREATE TABLE public.inventories (
    workspace_id text NOT NULL,
    server_id text NOT NULL,
    digest bytea NOT NULL,
    inventory jsonb NOT NULL,
    os jsonb NOT NULL,
    told_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL
);

CREATE TABLE public.inventory_changes (
    id bigint NOT NULL,
    workspace_id text NOT NULL,
    server_id text NOT NULL,
    at timestamp with time zone NOT NULL,
    difference jsonb NOT NULL
);

ALTER TABLE public.inventory_changes ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.inventory_changes_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.invitations (
    id text NOT NULL,
    workspace_id text NOT NULL,
    email text NOT NULL,
    role text NOT NULL,
    token_hash bytea NOT NULL,
    created_by text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT invitations_role_check CHECK ((role = ANY (ARRAY['owner'::text, 'editor'::text, 'viewer'::text])))
);

CREATE TABLE public.members (
    workspace_id text NOT NULL,
    user_id text NOT NULL,
    role text NOT NULL,
    CONSTRAINT members_role_check CHECK ((role = ANY (ARRAY['owner'::text, 'editor'::text, 'viewer'::text])))
);

CREATE TABLE public.metrics (
    workspace_id text NOT NULL,
    id text NOT NULL,
    version bigint NOT NULL,
    ts timestamp with time zone NOT NULL,
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
    sample_window text DEFAULT ''::text NOT NULL,
    cpu_cores jsonb,
    battery jsonb,
    top_processes jsonb,
    failed_units jsonb,
    smart jsonb
);

CREATE TABLE public.metrics_15m (
    ts timestamp with time zone NOT NULL,
    net_rx_total_max bigint,
    net_tx_total_max bigint,
    samples integer NOT NULL,
    uptime_s_max real,
    cpu_percent_avg real,
    cpu_percent_min real,
    cpu_percent_max real,
    load1_avg real,
    load1_min real,
    load1_max real,
    load5_avg real,
    load5_min real,
    load5_max real,
    load15_avg real,
    load15_min real,
    load15_max real,
    mem_used_avg real,
    mem_used_min real,
    mem_used_max real,
    mem_total_avg real,
    mem_total_min real,
    mem_total_max real,
    swap_used_avg real,
    swap_used_min real,
    swap_used_max real,
    swap_total_avg real,
    swap_total_min real,
    swap_total_max real,
    disk_used_avg real,
    disk_used_min real,
    disk_used_max real,
    disk_total_avg real,
    disk_total_min real,
    disk_total_max real,
    disk_read_rate_avg real,
    disk_read_rate_min real,
    disk_read_rate_max real,
    disk_write_rate_avg real,
    disk_write_rate_min real,
    disk_write_rate_max real,
    net_rx_rate_avg real,
    net_rx_rate_min real,
    net_rx_rate_max real,
    net_tx_rate_avg real,
    net_tx_rate_min real,
    net_tx_rate_max real,
    tcp_connections_avg real,
    tcp_connections_min real,
    tcp_connections_max real,
    udp_connections_avg real,
    udp_connections_min real,
    udp_connections_max real,
    processes_avg real,
    processes_min real,
    processes_max real,
    workspace_id text NOT NULL,
    server_id text NOT NULL,
    counts integer[]
)
PARTITION BY RANGE (ts);

CREATE TABLE public.metrics_1d (
    ts timestamp with time zone NOT NULL,
    net_rx_total_max bigint,
    net_tx_total_max bigint,
    samples integer NOT NULL,
    uptime_s_max real,
    cpu_percent_avg real,
    cpu_percent_min real,
    cpu_percent_max real,
    load1_avg real,
    load1_min real,
    load1_max real,
    load5_avg real,
    load5_min real,
    load5_max real,
    load15_avg real,
    load15_min real,
    load15_max real,
    mem_used_avg real,
    mem_used_min real,
    mem_used_max real,
    mem_total_avg real,
    mem_total_min real,
    mem_total_max real,
    swap_used_avg real,
    swap_used_min real,
    swap_used_max real,
    swap_total_avg real,
    swap_total_min real,
    swap_total_max real,
    disk_used_avg real,
    disk_used_min real,
    disk_used_max real,
    disk_total_avg real,
    disk_total_min real,
    disk_total_max real,
    disk_read_rate_avg real,
    disk_read_rate_min real,
    disk_read_rate_max real,
    disk_write_rate_avg real,
    disk_write_rate_min real,
    disk_write_rate_max real,
    net_rx_rate_avg real,
    net_rx_rate_min real,
    net_rx_rate_max real,
    net_tx_rate_avg real,
    net_tx_rate_min real,
    net_tx_rate_max real,
    tcp_connections_avg real,
    tcp_connections_min real,
    tcp_connections_max real,
    udp_connections_avg real,
    udp_connections_min real,
    udp_connections_max real,
    processes_avg real,
    processes_min real,
    processes_max real,
    workspace_id text NOT NULL,
    server_id text NOT NULL,
    counts integer[]
)
PARTITION BY RANGE (ts);

CREATE TABLE public.metrics_1h (
    ts timestamp with time zone NOT NULL,
    net_rx_total_max bigint,
    net_tx_total_max bigint,
    samples integer NOT NULL,
    uptime_s_max real,
    cpu_percent_avg real,
    cpu_percent_min real,
    cpu_percent_max real,
    load1_avg real,
    load1_min real,
    load1_max real,
    load5_avg real,
    load5_min real,
    load5_max real,
    load15_avg real,
    load15_min real,
    load15_max real,
    mem_used_avg real,
    mem_used_min real,
    mem_used_max real,
    mem_total_avg real,
    mem_total_min real,
    mem_total_max real,
    swap_used_avg real,
    swap_used_min real,
    swap_used_max real,
    swap_total_avg real,
    swap_total_min real,
    swap_total_max real,
    disk_used_avg real,
    disk_used_min real,
    disk_used_max real,
    disk_total_avg real,
    disk_total_min real,
    disk_total_max real,
    disk_read_rate_avg real,
    disk_read_rate_min real,
    disk_read_rate_max real,
    disk_write_rate_avg real,
    disk_write_rate_min real,
    disk_write_rate_max real,
    net_rx_rate_avg real,
    net_rx_rate_min real,
    net_rx_rate_max real,
    net_tx_rate_avg real,
    net_tx_rate_min real,
    net_tx_rate_max real,
    tcp_connections_avg real,
    tcp_connections_min real,
    tcp_connections_max real,
    udp_connections_avg real,
    udp_connections_min real,
    udp_connections_max real,
    processes_avg real,
    processes_min real,
    processes_max real,
    workspace_id text NOT NULL,
    server_id text NOT NULL,
    counts integer[]
)
PARTITION BY RANGE (ts);

CREATE TABLE public.metrics_1m (
    ts timestamp with time zone NOT NULL,
    net_rx_total_max bigint,
    net_tx_total_max bigint,
    samples integer NOT NULL,
    uptime_s_max real,
    cpu_percent_avg real,
    cpu_percent_min real,
    cpu_percent_max real,
    load1_avg real,
    load1_min real,
    load1_max real,
    load5_avg real,
    load5_min real,
    load5_max real,
    load15_avg real,
    load15_min real,
    load15_max real,
    mem_used_avg real,
    mem_used_min real,
    mem_used_max real,
    mem_total_avg real,
    mem_total_min real,
    mem_total_max real,
    swap_used_avg real,
    swap_used_min real,
    swap_used_max real,
    swap_total_avg real,
    swap_total_min real,
    swap_total_max real,
    disk_used_avg real,
    disk_used_min real,
    disk_used_max real,
    disk_total_avg real,
    disk_total_min real,
    disk_total_max real,
    disk_read_rate_avg real,
    disk_read_rate_min real,
    disk_read_rate_max real,
    disk_write_rate_avg real,
    disk_write_rate_min real,
    disk_write_rate_max real,
    net_rx_rate_avg real,
    net_rx_rate_min real,
    net_rx_rate_max real,
    net_tx_rate_avg real,
    net_tx_rate_min real,
    net_tx_rate_max real,
    tcp_connections_avg real,
    tcp_connections_min real,
    tcp_connections_max real,
    udp_connections_avg real,
    udp_connections_min real,
    udp_connections_max real,
    processes_avg real,
    processes_min real,
    processes_max real,
    workspace_id text NOT NULL,
    server_id text NOT NULL,
    counts integer[]
)
PARTITION BY RANGE (ts);

CREATE TABLE public.metrics_history (
    server_id text NOT NULL,
    ts timestamp with time zone NOT NULL,
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
    details jsonb,
    workspace_id text NOT NULL
)
PARTITION BY RANGE (ts);

CREATE TABLE public.metrics_history_default (
    server_id text CONSTRAINT metrics_history_server_id_not_null NOT NULL,
    ts timestamp with time zone CONSTRAINT metrics_history_ts_not_null NOT NULL,
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
    details jsonb,
    workspace_id text CONSTRAINT metrics_history_workspace_id_not_null NOT NULL
);

CREATE TABLE public.metrics_late (
    bucket timestamp with time zone NOT NULL,
    workspace_id text NOT NULL,
    server_id text NOT NULL
);

CREATE TABLE public.metrics_levels (
    level text NOT NULL,
    rolled_until timestamp with time zone NOT NULL,
    kept_from timestamp with time zone DEFAULT '1970-01-01 00:00:00+00'::timestamp with time zone NOT NULL
);

CREATE TABLE public.operations (
    id text NOT NULL,
    partition integer NOT NULL,
    epoch bigint NOT NULL,
    seq bigint NOT NULL,
    prev bigint NOT NULL,
    version bigint NOT NULL,
    rejected text,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.price_rules (
    workspace_id text NOT NULL,
    id text NOT NULL,
    version bigint NOT NULL,
    name text NOT NULL,
    applies_to text NOT NULL,
    targets text[] NOT NULL,
    kind text NOT NULL,
    value double precision NOT NULL,
    starts_at timestamp with time zone,
    ends_at timestamp with time zone,
    priority integer NOT NULL,
    active boolean NOT NULL
);

CREATE TABLE public.print_destinations (
    workspace_id text NOT NULL,
    id text NOT NULL,
    version bigint NOT NULL,
    name text NOT NULL,
    address text NOT NULL,
    port integer NOT NULL,
    protocol text NOT NULL,
    enabled boolean NOT NULL
);

CREATE TABLE public.products (
    workspace_id text NOT NULL,
    id text NOT NULL,
    version bigint NOT NULL,
    name text NOT NULL,
    sku text NOT NULL,
    description text NOT NULL,
    category_id text NOT NULL,
    price double precision NOT NULL,
    currency text NOT NULL,
    tags text[] NOT NULL,
    attributes text[] NOT NULL,
    available boolean NOT NULL,
    "position" integer NOT NULL
);

CREATE TABLE public.refresh_tokens (
    token_hash bytea NOT NULL,
    session_id text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    spent_at timestamp with time zone
);

CREATE TABLE public.relays (
    id text NOT NULL,
    workspace_id text NOT NULL,
    name text NOT NULL,
    token_hash bytea NOT NULL,
    created_by text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone,
    last_used_at timestamp with time zone
);

CREATE TABLE public.roles (
    workspace_id text NOT NULL,
    id text NOT NULL,
    version bigint NOT NULL,
    name text NOT NULL,
    permissions text[] NOT NULL
);

CREATE TABLE public.servers (
    workspace_id text NOT NULL,
    id text NOT NULL,
    version bigint NOT NULL,
    name text NOT NULL,
    hostname text NOT NULL,
    machine_id text NOT NULL,
    status text NOT NULL,
    last_seen timestamp with time zone,
    tags text[] NOT NULL,
    groups text[] NOT NULL,
    notes text NOT NULL,
    hidden boolean NOT NULL,
    "position" integer NOT NULL,
    os jsonb NOT NULL,
    agent_version text NOT NULL,
    provider text NOT NULL,
    price double precision,
    currency text NOT NULL,
    billing_cycle text NOT NULL,
    expires_at timestamp with time zone,
    traffic_limit_bytes bigint
);

CREATE TABLE public.sessions (
    id text NOT NULL,
    user_id text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    revoked_at timestamp with time zone
);

CREATE TABLE public.signing_keys (
    id text NOT NULL,
    secret bytea NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.tags (
    workspace_id text NOT NULL,
    id text NOT NULL,
    version bigint NOT NULL,
    name text NOT NULL,
    color text NOT NULL,
    "position" integer NOT NULL
);

CREATE TABLE public.topics (
    workspace_id text NOT NULL,
    resource text NOT NULL,
    partition integer NOT NULL,
    version bigint NOT NULL,
    journal_floor bigint DEFAULT 0 NOT NULL
);

CREATE TABLE public.users (
    id text NOT NULL,
    email text NOT NULL,
    password_hash text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    is_admin boolean DEFAULT false NOT NULL,
    disabled_at timestamp with time zone
);

CREATE TABLE public.websites (
    workspace_id text NOT NULL,
    id text NOT NULL,
    version bigint NOT NULL,
    primary_domain text NOT NULL,
    domains text[] NOT NULL,
    cname text NOT NULL,
    line_group_id text NOT NULL,
    line_group text NOT NULL,
    https_enabled boolean NOT NULL,
    status text NOT NULL
);

CREATE TABLE public.workspaces (
    id text NOT NULL,
    name text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.ws_events (
    workspace_id text NOT NULL,
    topic text NOT NULL,
    id bigint NOT NULL,
    record_id text NOT NULL,
    event_type text NOT NULL,
    payload jsonb NOT NULL,
    actor text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT ws_events_event_type_check CHECK ((event_type = ANY (ARRAY['add'::text, 'update'::text, 'delete'::text])))
);

CREATE TABLE public.zones (
    workspace_id text NOT NULL,
    id text NOT NULL,
    version bigint NOT NULL,
    name text NOT NULL,
    color text NOT NULL,
    "position" integer NOT NULL
);

ALTER TABLE ONLY public.metrics_history ATTACH PARTITION public.metrics_history_default DEFAULT;

ALTER TABLE ONLY public.agent_credentials
    ADD CONSTRAINT agent_credentials_enrolment_hash_key UNIQUE (enrolment_hash);

ALTER TABLE ONLY public.agent_credentials
    ADD CONSTRAINT agent_credentials_next_secret_hash_key UNIQUE (next_secret_hash);

ALTER TABLE ONLY public.agent_credentials
    ADD CONSTRAINT agent_credentials_pkey PRIMARY KEY (agent_id);

ALTER TABLE ONLY public.agent_credentials
    ADD CONSTRAINT agent_credentials_secret_hash_key UNIQUE (secret_hash);

ALTER TABLE ONLY public.agents
    ADD CONSTRAINT agents_pkey PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY public.api_tokens
    ADD CONSTRAINT api_tokens_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.api_tokens
    ADD CONSTRAINT api_tokens_token_hash_key UNIQUE (token_hash);

ALTER TABLE ONLY public.attributes
    ADD CONSTRAINT attributes_pkey PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY public.audit_heads
    ADD CONSTRAINT audit_heads_pkey PRIMARY KEY (workspace_id);

ALTER TABLE ONLY public.audit_log
    ADD CONSTRAINT audit_log_pkey PRIMARY KEY (workspace_id, seq);

ALTER TABLE ONLY public.categories
    ADD CONSTRAINT categories_pkey PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY public.checkpoints
    ADD CONSTRAINT checkpoints_pkey PRIMARY KEY (partition);

ALTER TABLE ONLY public.dead_letters
    ADD CONSTRAINT dead_letters_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.dining_tables
    ADD CONSTRAINT dining_tables_pkey PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY public.employees
    ADD CONSTRAINT employees_pkey PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY public.enrolment_tokens
    ADD CONSTRAINT enrolment_tokens_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.enrolment_tokens
    ADD CONSTRAINT enrolment_tokens_token_hash_key UNIQUE (token_hash);

ALTER TABLE ONLY public.inventories
    ADD CONSTRAINT inventories_pkey PRIMARY KEY (workspace_id, server_id);

ALTER TABLE ONLY public.inventory_changes
    ADD CONSTRAINT inventory_changes_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.invitations
    ADD CONSTRAINT invitations_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.invitations
    ADD CONSTRAINT invitations_token_hash_key UNIQUE (token_hash);

ALTER TABLE ONLY public.members
    ADD CONSTRAINT members_pkey PRIMARY KEY (workspace_id, user_id);

ALTER TABLE ONLY public.metrics_15m
    ADD CONSTRAINT metrics_15m_pkey PRIMARY KEY (workspace_id, server_id, ts);

ALTER TABLE ONLY public.metrics_1d
    ADD CONSTRAINT metrics_1d_pkey PRIMARY KEY (workspace_id, server_id, ts);

ALTER TABLE ONLY public.metrics_1h
    ADD CONSTRAINT metrics_1h_pkey PRIMARY KEY (workspace_id, server_id, ts);

ALTER TABLE ONLY public.metrics_1m
    ADD CONSTRAINT metrics_1m_pkey PRIMARY KEY (workspace_id, server_id, ts);

ALTER TABLE ONLY public.metrics_levels
    ADD CONSTRAINT metrics_levels_pkey PRIMARY KEY (level);

ALTER TABLE ONLY public.metrics
    ADD CONSTRAINT metrics_pkey PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY public.operations
    ADD CONSTRAINT operations_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.price_rules
    ADD CONSTRAINT price_rules_pkey PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY public.print_destinations
    ADD CONSTRAINT print_destinations_pkey PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY public.products
    ADD CONSTRAINT products_pkey PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY public.refresh_tokens
    ADD CONSTRAINT refresh_tokens_pkey PRIMARY KEY (token_hash);

ALTER TABLE ONLY public.relays
    ADD CONSTRAINT relays_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.relays
    ADD CONSTRAINT relays_token_hash_key UNIQUE (token_hash);

ALTER TABLE ONLY public.roles
    ADD CONSTRAINT roles_pkey PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY public.servers
    ADD CONSTRAINT servers_pkey PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.signing_keys
    ADD CONSTRAINT signing_keys_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.tags
    ADD CONSTRAINT tags_pkey PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY public.topics
    ADD CONSTRAINT topics_pkey PRIMARY KEY (workspace_id, resource);

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.websites
    ADD CONSTRAINT websites_pkey PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY public.workspaces
    ADD CONSTRAINT workspaces_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.ws_events
    ADD CONSTRAINT ws_events_pkey PRIMARY KEY (workspace_id, topic, id);

ALTER TABLE ONLY public.zones
    ADD CONSTRAINT zones_pkey PRIMARY KEY (workspace_id, id);

CREATE INDEX agent_credentials_claims ON public.agent_credentials USING btree (workspace_id, claimed_at) WHERE (claimed_at IS NOT NULL);

CREATE INDEX agent_credentials_server ON public.agent_credentials USING btree (workspace_id, server_id);

CREATE INDEX agents_name ON public.agents USING btree (workspace_id, name, id);

CREATE INDEX api_tokens_member ON public.api_tokens USING btree (workspace_id, user_id);

CREATE INDEX attributes_name ON public.attributes USING btree (workspace_id, name, id);

CREATE INDEX audit_log_actor ON public.audit_log USING btree (workspace_id, actor, seq);

CREATE INDEX audit_log_record ON public.audit_log USING btree (workspace_id, resource, record_id, seq);

CREATE INDEX categories_name ON public.categories USING btree (workspace_id, name, id);

CREATE INDEX dead_letters_pending ON public.dead_letters USING btree (partition, id) WHERE (compensated_at IS NULL);

CREATE INDEX dining_tables_name ON public.dining_tables USING btree (workspace_id, name, id);

CREATE INDEX employees_name ON public.employees USING btree (workspace_id, name, id);

CREATE INDEX enrolment_tokens_workspace ON public.enrolment_tokens USING btree (workspace_id);

CREATE INDEX inventory_changes_server ON public.inventory_changes USING btree (workspace_id, server_id, at, id);

CREATE INDEX invitations_workspace ON public.invitations USING btree (workspace_id, created_at);

CREATE INDEX members_user ON public.members USING btree (user_id);

CREATE INDEX metrics_history_ts ON ONLY public.metrics_history USING brin (ts) WITH (autosummarize='on');

CREATE INDEX metrics_history_default_ts_idx ON public.metrics_history_default USING brin (ts) WITH (autosummarize='on');

CREATE INDEX metrics_history_server_ts ON ONLY public.metrics_history USING btree (workspace_id, server_id, ts);

CREATE INDEX metrics_history_default_workspace_id_server_id_ts_idx ON public.metrics_history_default USING btree (workspace_id, server_id, ts);

CREATE INDEX metrics_late_bucket ON public.metrics_late USING btree (bucket, workspace_id, server_id);

CREATE INDEX operations_partition ON public.operations USING btree (partition, created_at);

CREATE INDEX price_rules_name ON public.price_rules USING btree (workspace_id, name, id);

CREATE INDEX print_destinations_name ON public.print_destinations USING btree (workspace_id, name, id);

CREATE INDEX products_name ON public.products USING btree (workspace_id, name, id);

CREATE INDEX refresh_tokens_session ON public.refresh_tokens USING btree (session_id);

CREATE INDEX relays_workspace ON public.relays USING btree (workspace_id, created_at);

CREATE INDEX roles_name ON public.roles USING btree (workspace_id, name, id);

CREATE INDEX servers_name ON public.servers USING btree (workspace_id, name, id);

CREATE INDEX sessions_user ON public.sessions USING btree (user_id);

CREATE INDEX tags_name ON public.tags USING btree (workspace_id, name, id);

CREATE INDEX topics_partition ON public.topics USING btree (partition);

CREATE UNIQUE INDEX users_email ON public.users USING btree (lower(email));

CREATE INDEX websites_primary_domain ON public.websites USING btree (workspace_id, primary_domain, id);

CREATE INDEX ws_events_created ON public.ws_events USING btree (created_at);

CREATE INDEX ws_events_record ON public.ws_events USING btree (workspace_id, topic, record_id, id);

CREATE INDEX zones_name ON public.zones USING btree (workspace_id, name, id);

ALTER INDEX public.metrics_history_ts ATTACH PARTITION public.metrics_history_default_ts_idx;

ALTER INDEX public.metrics_history_server_ts ATTACH PARTITION public.metrics_history_default_workspace_id_server_id_ts_idx;

CREATE TRIGGER audit_heads_only_advance BEFORE UPDATE ON public.audit_heads FOR EACH ROW WHEN (((new.workspace_id <> old.workspace_id) OR (new.seq <= old.seq))) EXECUTE FUNCTION public.refuse_change_of_audit();

CREATE TRIGGER audit_heads_stay BEFORE DELETE OR TRUNCATE ON public.audit_heads FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change_of_audit();

CREATE TRIGGER audit_log_is_only_added_to BEFORE DELETE OR UPDATE OR TRUNCATE ON public.audit_log FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change_of_audit();

ALTER TABLE ONLY public.agent_credentials
    ADD CONSTRAINT agent_credentials_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES public.workspaces(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.api_tokens
    ADD CONSTRAINT api_tokens_workspace_id_user_id_fkey FOREIGN KEY (workspace_id, user_id) REFERENCES public.members(workspace_id, user_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.enrolment_tokens
    ADD CONSTRAINT enrolment_tokens_created_by_fkey FOREIGN KEY (created_by) REFERENCES public.users(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.enrolment_tokens
    ADD CONSTRAINT enrolment_tokens_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES public.workspaces(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.invitations
    ADD CONSTRAINT invitations_created_by_fkey FOREIGN KEY (created_by) REFERENCES public.users(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.invitations
    ADD CONSTRAINT invitations_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES public.workspaces(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.members
    ADD CONSTRAINT members_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.members
    ADD CONSTRAINT members_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES public.workspaces(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.refresh_tokens
    ADD CONSTRAINT refresh_tokens_session_id_fkey FOREIGN KEY (session_id) REFERENCES public.sessions(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.relays
    ADD CONSTRAINT relays_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES public.workspaces(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;
