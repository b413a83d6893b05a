-- name: checkpoints()
-- How far each partition has been applied.
SELECT partition, epoch, seq FROM checkpoints;

-- name: outcomes(operation_ids)
-- What became of operations that were applied.
SELECT id, epoch, seq, prev, version, rejected FROM operations WHERE id = ANY(:operation_ids);
