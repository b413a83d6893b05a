-- name: events_since(workspace_id, topic, after_id, max_events)
-- Where a topic and its journal stand, and the first events after an id; one row without an event when there is none.
SELECT head.version, head.journal_floor, event.*
FROM (
    SELECT coalesce(max(version), 0) AS version, coalesce(max(journal_floor), 0) AS journal_floor
    FROM topics WHERE workspace_id = :workspace_id AND resource = :topic
) AS head
LEFT JOIN LATERAL (
    SELECT id, record_id, event_type, payload, actor, created_at FROM ws_events
    WHERE workspace_id = :workspace_id AND topic = :topic AND id > :after_id
    ORDER BY id LIMIT :max_events
) AS event ON true
ORDER BY event.id;

-- name: record_events(workspace_id, topic, record_id, upto_id, max_events)
-- The newest events of a record up to an id, newest first.
SELECT id, record_id, event_type, payload, actor, created_at FROM ws_events
WHERE workspace_id = :workspace_id AND topic = :topic AND record_id = :record_id AND id <= :upto_id
ORDER BY id DESC LIMIT :max_events;

-- name: changed_since(workspace_id, topic, record_id, after_id, fields)
-- Those of the fields that events of a record after this one have altered; one that was deleted and brought back as it
-- was is the same.
SELECT DISTINCT field
FROM (
    SELECT payload, lag(payload) OVER (ORDER BY id) AS before FROM ws_events
    WHERE workspace_id = :workspace_id AND topic = :topic AND record_id = :record_id AND id >= :after_id
        AND event_type <> 'delete'
) AS event
CROSS JOIN unnest(:fields::text[]) AS field
WHERE before IS NOT NULL AND payload -> field IS DISTINCT FROM before -> field
ORDER BY field;

-- name: journal_head(workspace_id, topic)^
-- Where a topic and its journal stand.
SELECT coalesce(max(version), 0) AS version, coalesce(max(journal_floor), 0) AS journal_floor
FROM topics WHERE workspace_id = :workspace_id AND resource = :topic;

-- name: events_of_workspaces
-- How many events each workspace has.
SELECT workspace_id, count(*) AS events FROM ws_events GROUP BY workspace_id;

-- name: moment_of_oldest_kept(workspace_id, most)$
-- The moment of the oldest of so many newest events of a workspace that has more.
SELECT created_at FROM ws_events WHERE workspace_id = :workspace_id
ORDER BY created_at DESC OFFSET :most::bigint - 1 LIMIT 1;

-- name: topics_with_events_before(moment, workspace_id)
-- The topics whose first event above their floor is older than a moment, of all workspaces or of one.
SELECT t.workspace_id, t.resource
FROM topics AS t
CROSS JOIN LATERAL (
    SELECT created_at FROM ws_events
    WHERE workspace_id = t.workspace_id AND topic = t.resource AND id > t.journal_floor
    ORDER BY id LIMIT 1
) AS first
WHERE first.created_at < :moment AND (:workspace_id::text IS NULL OR t.workspace_id = :workspace_id)
ORDER BY t.workspace_id, t.resource;

-- name: next_floor(workspace_id, topic, moment, kept_events, slice)^
-- Up to which id events can be let go: a slice of those above the floor, all older than the moment, and none of the
-- newest that are kept. One row without ids when none can.
SELECT t.journal_floor AS floor, max(event.id) FILTER (WHERE event.young_before = 0) AS next
FROM topics AS t
LEFT JOIN LATERAL (
    SELECT id, count(*) FILTER (WHERE created_at >= :moment) OVER (ORDER BY id) AS young_before
    FROM (
        SELECT id, created_at FROM ws_events
        WHERE workspace_id = t.workspace_id AND topic = t.resource AND id > t.journal_floor AND id < (
            SELECT id FROM ws_events WHERE workspace_id = t.workspace_id AND topic = t.resource
            ORDER BY id DESC OFFSET :kept_events::bigint - 1 LIMIT 1
        )
        ORDER BY id LIMIT :slice
    ) AS oldest
) AS event ON true
WHERE t.workspace_id = :workspace_id AND t.resource = :topic
GROUP BY t.journal_floor;

-- name: forget_events(workspace_id, topic, floor, next)$
-- Delete the events up to the next floor but for the newest of each record that exists there; gives how many they were.
WITH newest AS (
    SELECT record_id, max(id) AS id FROM ws_events
    WHERE workspace_id = :workspace_id AND topic = :topic AND id > :floor AND id <= :next
    GROUP BY record_id
), gone AS (
    DELETE FROM ws_events AS event USING newest
    WHERE event.workspace_id = :workspace_id AND event.topic = :topic AND event.record_id = newest.record_id
        AND event.id <= newest.id AND (event.id < newest.id OR event.event_type = 'delete')
    RETURNING 1
)
SELECT count(*) FROM gone;

-- name: raise_floor(workspace_id, topic, next)!
-- Say from where on the journal can tell the state of a topic.
UPDATE topics SET journal_floor = greatest(journal_floor, :next) WHERE workspace_id = :workspace_id AND resource = :topic;
