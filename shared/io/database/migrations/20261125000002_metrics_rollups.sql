-- migrate:up

-- Whose a sample is: ids of servers are told apart within a workspace only.
ALTER TABLE metrics_history ADD COLUMN workspace_id text;
UPDATE metrics_history h SET workspace_id = owner.workspace_id
FROM (SELECT id, min(workspace_id) AS workspace_id FROM servers GROUP BY id HAVING count(*) = 1) owner
WHERE owner.id = h.server_id;
-- of servers that are no more, and where it cannot be told, nobody may read it
UPDATE metrics_history SET workspace_id = '' WHERE workspace_id IS NULL;
ALTER TABLE metrics_history ALTER COLUMN workspace_id SET NOT NULL;

DROP INDEX metrics_history_server_ts;
CREATE INDEX metrics_history_server_ts ON metrics_history (workspace_id, server_id, ts);
-- samples come nearly in the order of their times: this finds those of all servers at little cost
CREATE INDEX metrics_history_ts ON metrics_history USING brin (ts) WITH (autosummarize = on);

-- What the samples of a bucket amount to. Of counters only the greatest is kept. A column that some of the samples
-- lack has its own number of samples in `counts`; where none does, that is NULL. The fixed widths come first, the
-- widest of them in front, so that nothing is lost between them.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['metrics_1m', 'metrics_15m', 'metrics_1h', 'metrics_1d'] LOOP
        EXECUTE format('CREATE TABLE %I (
            ts timestamptz NOT NULL,
            net_rx_total_max bigint,
            net_tx_total_max bigint,
            samples integer NOT NULL,
            uptime_s_max real,
            cpu_percent_avg real, cpu_percent_min real, cpu_percent_max real,
            load1_avg real, load1_min real, load1_max real,
            load5_avg real, load5_min real, load5_max real,
            load15_avg real, load15_min real, load15_max real,
            mem_used_avg real, mem_used_min real, mem_used_max real,
            mem_total_avg real, mem_total_min real, mem_total_max real,
            swap_used_avg real, swap_used_min real, swap_used_max real,
            swap_total_avg real, swap_total_min real, swap_total_max real,
            disk_used_avg real, disk_used_min real, disk_used_max real,
            disk_total_avg real, disk_total_min real, disk_total_max real,
            disk_read_rate_avg real, disk_read_rate_min real, disk_read_rate_max real,
            disk_write_rate_avg real, disk_write_rate_min real, disk_write_rate_max real,
            net_rx_rate_avg real, net_rx_rate_min real, net_rx_rate_max real,
            net_tx_rate_avg real, net_tx_rate_min real, net_tx_rate_max real,
            tcp_connections_avg real, tcp_connections_min real, tcp_connections_max real,
            udp_connections_avg real, udp_connections_min real, udp_connections_max real,
            processes_avg real, processes_min real, processes_max real,
            workspace_id text NOT NULL,
            server_id text NOT NULL,
            counts integer[],
            PRIMARY KEY (workspace_id, server_id, ts)
        ) PARTITION BY RANGE (ts)', name);
    END LOOP;
END
$$;

CREATE FUNCTION ensure_metrics_partition(parent text, first_moment timestamptz, length interval) RETURNS void
LANGUAGE plpgsql AS $$
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

-- Where each level stands: below `rolled_until` its buckets are made (of `raw`: closed), from `kept_from` on nothing was
-- dropped. Whoever rolls up or drops locks these rows.
CREATE TABLE metrics_levels (
    level text PRIMARY KEY,
    rolled_until timestamptz NOT NULL,
    kept_from timestamptz NOT NULL DEFAULT '1970-01-01 00:00:00+00'
);
INSERT INTO metrics_levels (level, rolled_until)
SELECT level, date_trunc('day', coalesce(
    (SELECT min(ts) FROM metrics_history WHERE ts > now() - interval '30 days' AND ts < now()), now()), 'UTC')
FROM unnest(ARRAY['raw', '1m', '15m', '1h', '1d']) AS level;

-- Where samples came after their bucket was closed, in quarters of an hour; a place may be named several times.
CREATE TABLE metrics_late (
    bucket timestamptz NOT NULL,
    workspace_id text NOT NULL,
    server_id text NOT NULL
);
CREATE INDEX metrics_late_bucket ON metrics_late (bucket, workspace_id, server_id);
INSERT INTO metrics_late
SELECT DISTINCT date_bin('15 minutes', ts, '1970-01-01 00:00:00+00'), workspace_id, server_id FROM metrics_history
WHERE ts < (SELECT rolled_until FROM metrics_levels WHERE level = 'raw');

-- What an applier commits before this moment of the samples' times is late. A partition that is new begins no earlier
-- than the levels do.
ALTER TABLE checkpoints ADD COLUMN closed_until timestamptz NOT NULL DEFAULT date_trunc('day', now(), 'UTC');
UPDATE checkpoints SET closed_until = (SELECT rolled_until FROM metrics_levels WHERE level = 'raw');

-- migrate:down

ALTER TABLE checkpoints DROP COLUMN closed_until;
DROP TABLE metrics_late, metrics_levels, metrics_1d, metrics_1h, metrics_15m, metrics_1m;
DROP FUNCTION ensure_metrics_partition;
DROP INDEX metrics_history_ts, metrics_history_server_ts;
ALTER TABLE metrics_history DROP COLUMN workspace_id;
CREATE INDEX metrics_history_server_ts ON metrics_history (server_id, ts);
