-- name: present^
-- What time it is, and of when the newest of the servers' latest samples is; without any, the last change.
SELECT now() AS clock,
    coalesce((SELECT max(ts) FROM metrics), (SELECT max(updated_at) FROM checkpoints)) AS newest;

-- name: close_partition!
-- Call the samples late that this partition's applier commits from now on at times before a moment; wait for its batch.
INSERT INTO checkpoints (partition, closed_until) VALUES (:partition, :moment)
ON CONFLICT (partition) DO UPDATE SET closed_until = greatest(checkpoints.closed_until, excluded.closed_until);

-- name: closed!
-- Say that all partitions are closed until a moment.
UPDATE metrics_levels SET rolled_until = greatest(rolled_until, :moment) WHERE level = 'raw';

-- name: lock_levels
-- Where each level stands; nobody else can move them meanwhile, and who finds them taken is told so at once.
SELECT level, rolled_until, kept_from FROM metrics_levels ORDER BY level FOR UPDATE NOWAIT;

-- name: levels
-- Where each level stands.
SELECT level, rolled_until, kept_from FROM metrics_levels;

-- name: rolled_until!
-- Say that the buckets of a level are made until a moment.
UPDATE metrics_levels SET rolled_until = :moment WHERE level = :level;

-- name: kept_from!
-- Say from which moment on nothing of a level was dropped.
UPDATE metrics_levels SET kept_from = :moment WHERE level = :level;

-- name: ensure_partition$
-- Make a partition of a level.
SELECT ensure_metrics_partition(:table, :first_moment, :length);

-- name: take_late
-- Take away where samples came late, a slice of the oldest; with a moment only those before it.
WITH place AS (
    SELECT DISTINCT bucket, workspace_id, server_id FROM metrics_late
    WHERE :before::timestamptz IS NULL OR bucket < :before
    ORDER BY bucket, workspace_id, server_id LIMIT :most
), taken AS (
    DELETE FROM metrics_late late USING place
    WHERE (late.bucket, late.workspace_id, late.server_id) = (place.bucket, place.workspace_id, place.server_id)
)
SELECT bucket, workspace_id, server_id FROM place;

-- name: delete_samples*!
-- Delete the samples of quarters of an hour, each by itself: all at once, the planner might read everything.
DELETE FROM metrics_history
WHERE workspace_id = :workspace_id AND server_id = :server_id
    AND ts >= :bucket AND ts < :bucket + interval '15 minutes';

-- name: partitions_before
-- The partitions of a table that end at a moment or before.
SELECT name FROM (
    SELECT c.relname AS name,
        substring(pg_get_expr(c.relpartbound, c.oid) FROM 'TO \(''([^'']+)''\)')::timestamptz AS last_moment
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = to_regclass(:table)
) AS partition
WHERE last_moment <= :moment ORDER BY last_moment;

-- name: delete_strays!
-- Delete the samples before a moment that no partition was made for.
DELETE FROM metrics_history_default WHERE ts < :moment;
