-- name: topic_head(workspace_id, resource, partition)^
-- The version of a topic and the epoch of its partition, as they are in this snapshot of the database.
SELECT
    coalesce((SELECT version FROM topics WHERE workspace_id = :workspace_id AND resource = :resource), 0) AS version,
    coalesce((SELECT epoch FROM checkpoints WHERE partition = :partition), 0) AS epoch;
