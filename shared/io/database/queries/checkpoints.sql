-- name: try_lock^
-- Take the applier's lock of a partition; it is held until the connection ends.
SELECT pg_try_advisory_lock(hashtext('muster applier'), :partition) AS locked;

-- name: take_over^
-- Read the checkpoint and raise the fence, so that an applier that was overtaken cannot commit any more.
INSERT INTO checkpoints (partition, fence) VALUES (:partition, :seen_fence::bigint + 1)
ON CONFLICT (partition) DO UPDATE SET fence = greatest(checkpoints.fence, :seen_fence) + 1
RETURNING epoch, seq, fence, redis_run;

-- name: advance^
-- Move the checkpoint on, provided that nobody else has; says before which times samples are late now.
UPDATE checkpoints SET seq = :seq, updated_at = now()
WHERE partition = :partition AND fence = :fence AND epoch = :epoch AND seq = :old_seq
RETURNING closed_until;

-- name: mint_epoch^
-- Begin a new epoch, later than any that was ever seen.
UPDATE checkpoints
SET epoch = greatest(epoch, :seen_epoch) + 1, seq = 0, redis_run = :redis_run, updated_at = now()
WHERE partition = :partition AND fence = :fence AND epoch = :epoch AND seq = :old_seq
RETURNING epoch;

-- name: topics_of_partition
-- All topics of a partition with their versions.
SELECT workspace_id, resource, version FROM topics WHERE partition = :partition;

-- name: sample_windows
-- Which samples of each server of a workspace were taken in.
SELECT id, sample_window FROM metrics WHERE workspace_id = :workspace_id AND sample_window <> '';

-- name: operations_of_partition
-- The operations whose first result must still be given again.
SELECT id, epoch, seq, prev, version,
    86400000 - (extract(epoch FROM now() - created_at) * 1000)::bigint AS remember_ms
FROM operations
WHERE partition = :partition AND rejected IS NULL AND created_at > now() - interval '1 day';

-- name: forget_operations$
-- Delete a slice of the operations that are remembered no longer; gives how many they were.
WITH gone AS (
    DELETE FROM operations WHERE id IN (
        SELECT id FROM operations WHERE created_at < now() - interval '1 day' LIMIT :slice
    ) RETURNING 1
)
SELECT count(*) FROM gone;

-- name: leave_epochs_behind!
-- Let every partition go on after this epoch, if not after a later one of its own: the database was restored.
INSERT INTO checkpoints (partition, epoch) SELECT n, :epoch FROM generate_series(0, :partitions::integer - 1) AS n
ON CONFLICT (partition) DO UPDATE
SET epoch = greatest(checkpoints.epoch + 1, excluded.epoch), seq = 0, redis_run = '', updated_at = now();
