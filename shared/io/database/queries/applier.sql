-- name: save_topics!
-- Keep the versions that the applied entries led to.
INSERT INTO topics (workspace_id, resource, partition, version)
SELECT workspace_id, resource, :partition, version
FROM unnest(:workspaces::text[], :resources::text[], :versions::bigint[]) AS t (workspace_id, resource, version)
ON CONFLICT (workspace_id, resource) DO UPDATE SET version = excluded.version;

-- name: save_sample_windows!
-- Keep which samples were taken in, of servers of which none was the latest.
UPDATE metrics SET sample_window = kept.sample_window
FROM unnest(:workspaces::text[], :servers::text[], :windows::text[]) AS kept (workspace_id, id, sample_window)
WHERE (metrics.workspace_id, metrics.id) = (kept.workspace_id, kept.id);

-- name: save_operations!
-- Keep the results of operations, for retries and for whoever waits for the commit.
INSERT INTO operations (id, partition, epoch, seq, prev, version)
SELECT id, :partition, epoch, seq, prev, version
FROM unnest(:ids::text[], :epochs::bigint[], :seqs::bigint[], :prevs::bigint[], :versions::bigint[])
    AS o (id, epoch, seq, prev, version)
ON CONFLICT (id) DO NOTHING;

-- name: reject_operation!
-- Say of an operation that its records could not be stored.
UPDATE operations SET rejected = :code WHERE id = :id;

-- name: ensure_metrics_day$
-- Make the partition of the history for a day.
SELECT ensure_metrics_day(:day);

-- name: save_dead_letter!
-- Put aside a change that PostgreSQL cannot store.
INSERT INTO dead_letters
    (partition, epoch, seq, workspace_id, resource, record_id, version, action, data, sqlstate, reason)
VALUES (:partition, :epoch, :seq, :workspace_id, :resource, :record_id, :version, :action, :data, :sqlstate, :reason);

-- name: pending_dead_letters
-- Dead letters whose record the hot state still holds.
SELECT id, workspace_id, resource, record_id, version
FROM dead_letters WHERE partition = :partition AND compensated_at IS NULL ORDER BY id LIMIT :limit;

-- name: compensated!
-- The hot state holds again what PostgreSQL does.
UPDATE dead_letters SET compensated_at = now() WHERE id = :id;
