-- name: missed_events(workspace_id, resource, after, upto)
-- What the journal holds of a topic after a version and up to another, unless it begins later than the first.
SELECT id, event_type, payload FROM ws_events
WHERE workspace_id = :workspace_id AND topic = :resource AND id > :after AND id <= :upto AND :after >= coalesce(
    (SELECT journal_floor FROM topics WHERE workspace_id = :workspace_id AND resource = :resource), 0)
ORDER BY id;
