-- migrate:up

-- Which samples of a server were taken in (see append.lua), so that a new epoch knows them again.
ALTER TABLE metrics ADD COLUMN sample_window text NOT NULL DEFAULT '';

UPDATE metrics SET sample_window = boot_id || ' 1-' || seq WHERE boot_id <> '' AND seq > 0;

-- migrate:down

ALTER TABLE metrics DROP COLUMN sample_window;
