-- migrate:up

-- Resources that people manage: one table each, its columns named as the record's fields.
CREATE TABLE websites (
    workspace_id text NOT NULL,
    id text NOT NULL,
    version bigint NOT NULL,
    primary_domain text NOT NULL,
    domains text[] NOT NULL,
    cname text NOT NULL,
    line_group_id text NOT NULL,
    line_group text NOT NULL,
    https_enabled boolean NOT NULL,
    status text NOT NULL,
    PRIMARY KEY (workspace_id, id)
);

CREATE TABLE products (
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
    position integer NOT NULL,
    PRIMARY KEY (workspace_id, id)
);

CREATE TABLE categories (
    workspace_id text NOT NULL,
    id text NOT NULL,
    version bigint NOT NULL,
    name text NOT NULL,
    parent_id text NOT NULL,
    color text NOT NULL,
    position integer NOT NULL,
    PRIMARY KEY (workspace_id, id)
);

CREATE TABLE tags (
    workspace_id text NOT NULL,
    id text NOT NULL,
    version bigint NOT NULL,
    name text NOT NULL,
    color text NOT NULL,
    position integer NOT NULL,
    PRIMARY KEY (workspace_id, id)
);

CREATE TABLE attributes (
    workspace_id text NOT NULL,
    id text NOT NULL,
    version bigint NOT NULL,
    name text NOT NULL,
    kind text NOT NULL,
    options text[] NOT NULL,
    required boolean NOT NULL,
    position integer NOT NULL,
    PRIMARY KEY (workspace_id, id)
);

CREATE TABLE zones (
    workspace_id text NOT NULL,
    id text NOT NULL,
    version bigint NOT NULL,
    name text NOT NULL,
    color text NOT NULL,
    position integer NOT NULL,
    PRIMARY KEY (workspace_id, id)
);

CREATE TABLE dining_tables (
    workspace_id text NOT NULL,
    id text NOT NULL,
    version bigint NOT NULL,
    name text NOT NULL,
    zone_id text NOT NULL,
    capacity integer NOT NULL,
    status text NOT NULL,
    position integer NOT NULL,
    PRIMARY KEY (workspace_id, id)
);

CREATE TABLE employees (
    workspace_id text NOT NULL,
    id text NOT NULL,
    version bigint NOT NULL,
    name text NOT NULL,
    email text NOT NULL,
    phone text NOT NULL,
    role_id text NOT NULL,
    active boolean NOT NULL,
    PRIMARY KEY (workspace_id, id)
);

CREATE TABLE roles (
    workspace_id text NOT NULL,
    id text NOT NULL,
    version bigint NOT NULL,
    name text NOT NULL,
    permissions text[] NOT NULL,
    PRIMARY KEY (workspace_id, id)
);

CREATE TABLE price_rules (
    workspace_id text NOT NULL,
    id text NOT NULL,
    version bigint NOT NULL,
    name text NOT NULL,
    applies_to text NOT NULL,
    targets text[] NOT NULL,
    kind text NOT NULL,
    value double precision NOT NULL,
    starts_at timestamptz,
    ends_at timestamptz,
    priority integer NOT NULL,
    active boolean NOT NULL,
    PRIMARY KEY (workspace_id, id)
);

CREATE TABLE print_destinations (
    workspace_id text NOT NULL,
    id text NOT NULL,
    version bigint NOT NULL,
    name text NOT NULL,
    address text NOT NULL,
    port integer NOT NULL,
    protocol text NOT NULL,
    enabled boolean NOT NULL,
    PRIMARY KEY (workspace_id, id)
);

-- The order of a list where none is asked for.
CREATE INDEX servers_name ON servers (workspace_id, name, id);
CREATE INDEX agents_name ON agents (workspace_id, name, id);
CREATE INDEX websites_primary_domain ON websites (workspace_id, primary_domain, id);
CREATE INDEX products_name ON products (workspace_id, name, id);
CREATE INDEX categories_name ON categories (workspace_id, name, id);
CREATE INDEX tags_name ON tags (workspace_id, name, id);
CREATE INDEX attributes_name ON attributes (workspace_id, name, id);
CREATE INDEX zones_name ON zones (workspace_id, name, id);
CREATE INDEX dining_tables_name ON dining_tables (workspace_id, name, id);
CREATE INDEX employees_name ON employees (workspace_id, name, id);
CREATE INDEX roles_name ON roles (workspace_id, name, id);
CREATE INDEX price_rules_name ON price_rules (workspace_id, name, id);
CREATE INDEX print_destinations_name ON print_destinations (workspace_id, name, id);

-- What happened to each record of the journalled resources; `id` is the topic's version after it, `payload` the record
-- as it was then.
CREATE TABLE ws_events (
    workspace_id text NOT NULL,
    topic text NOT NULL,
    id bigint NOT NULL,
    record_id text NOT NULL,
    event_type text NOT NULL CHECK (event_type IN ('add', 'update', 'delete')),
    payload jsonb NOT NULL,
    actor text NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, topic, id)
);
CREATE INDEX ws_events_record ON ws_events (workspace_id, topic, record_id, id);
CREATE INDEX ws_events_created ON ws_events (created_at);

-- What a topic was at any version from `journal_floor` on can be told from its events.
ALTER TABLE topics ADD COLUMN journal_floor bigint NOT NULL DEFAULT 0;

-- servers were there before the journal was: it begins with them as they are
INSERT INTO ws_events (workspace_id, topic, id, record_id, event_type, payload, actor, created_at)
SELECT workspace_id, 'servers', version, id, 'add',
    jsonb_build_object('id', id, 'server_id', id) || (to_jsonb(s) - '{workspace_id,id}'::text[]), 'migration', now()
FROM servers s;
UPDATE topics SET journal_floor = version WHERE resource = 'servers';

-- migrate:down

DROP INDEX servers_name, agents_name;
ALTER TABLE topics DROP COLUMN journal_floor;
DROP TABLE ws_events, websites, products, categories, tags, attributes, zones, dining_tables, employees, roles, price_rules, print_destinations;
