-- migrate:up

-- In history these are part of the column `details`.
ALTER TABLE metrics
    ADD COLUMN cpu_cores jsonb,
    ADD COLUMN battery jsonb,
    ADD COLUMN top_processes jsonb,
    ADD COLUMN failed_units jsonb,
    ADD COLUMN smart jsonb;

-- migrate:down

ALTER TABLE metrics
    DROP COLUMN cpu_cores,
    DROP COLUMN battery,
    DROP COLUMN top_processes,
    DROP COLUMN failed_units,
    DROP COLUMN smart;
