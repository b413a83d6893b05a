-- name: levels_for
-- Where each level of the history stands, for whoever asks about a server that the workspace has.
SELECT level, rolled_until, kept_from FROM metrics_levels
WHERE EXISTS (SELECT FROM servers WHERE workspace_id = :workspace_id AND id = :server_id);

-- name: count_samples$
-- How many samples of a server there are between two moments, counted up to a number.
SELECT count(*) FROM (
    SELECT FROM metrics_history
    WHERE workspace_id = :workspace_id AND server_id = :server_id AND ts >= :begin AND ts < :end LIMIT :most
) AS sample;
