-- name: kept^
-- The digest of what is kept of a server, and the rest of it only where it is another one.
SELECT digest,
    CASE WHEN digest <> :digest THEN inventory END AS inventory,
    CASE WHEN digest <> :digest THEN os END AS os
FROM inventories WHERE workspace_id = :workspace_id AND server_id = :server_id;

-- name: keep$
-- Keep an inventory in the place of the one with a digest, and its difference as a new version, of which only so many
-- stay; gives NULL where another is kept meanwhile.
WITH latest AS (
    INSERT INTO inventories AS stored (workspace_id, server_id, digest, inventory, os, told_at, changed_at)
    VALUES (:workspace_id, :server_id, :digest, :inventory, :os, :now, :now)
    ON CONFLICT (workspace_id, server_id) DO UPDATE
    SET digest = excluded.digest, inventory = excluded.inventory, os = excluded.os, told_at = excluded.told_at,
        changed_at = CASE WHEN :difference::jsonb IS NULL THEN stored.changed_at ELSE excluded.changed_at END
    WHERE stored.digest = :digest_before
    RETURNING workspace_id, server_id
), version AS (
    INSERT INTO inventory_changes (workspace_id, server_id, at, difference)
    SELECT workspace_id, server_id, :now, :difference FROM latest WHERE :difference::jsonb IS NOT NULL
), superfluous AS (
    DELETE FROM inventory_changes WHERE id IN (
        SELECT c.id FROM inventory_changes c JOIN latest USING (workspace_id, server_id)
        ORDER BY c.at DESC, c.id DESC
        -- the new version is not among them yet
        OFFSET :most::integer - CASE WHEN :difference::jsonb IS NULL THEN 0 ELSE 1 END
    )
)
SELECT 1 FROM latest;

-- name: latest^
-- What a server of the workspace is made of, as it was told last; NULLs where nothing was.
SELECT i.inventory, i.os, i.told_at, i.changed_at
FROM servers s LEFT JOIN inventories i ON (i.workspace_id, i.server_id) = (s.workspace_id, s.id)
WHERE s.workspace_id = :workspace_id AND s.id = :server_id;

-- name: versions
-- The versions of a server's inventory in a time, the newest first; a page begins after the last one of the one before.
SELECT id, at, difference FROM inventory_changes
WHERE workspace_id = :workspace_id AND server_id = :server_id
    AND (:begin::timestamptz IS NULL OR at >= :begin) AND (:end::timestamptz IS NULL OR at < :end)
    AND (:after_at::timestamptz IS NULL OR (at, id) < (:after_at, :after_id::bigint))
ORDER BY at DESC, id DESC LIMIT :most;

-- name: forget_lost!
-- Delete the inventories of servers that are no more; one that has just enrolled may not be there yet.
WITH lost AS (
    DELETE FROM inventories i
    WHERE told_at < now() - interval '1 day'
        AND NOT EXISTS (SELECT FROM servers s WHERE (s.workspace_id, s.id) = (i.workspace_id, i.server_id))
    RETURNING workspace_id, server_id
)
DELETE FROM inventory_changes c USING lost WHERE (c.workspace_id, c.server_id) = (lost.workspace_id, lost.server_id);
