-- migrate:up

ALTER TABLE agents ADD COLUMN clock_skew_s double precision;

-- migrate:down

ALTER TABLE agents DROP COLUMN clock_skew_s;
