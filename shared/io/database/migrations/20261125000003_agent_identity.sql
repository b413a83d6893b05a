-- migrate:up

-- A credential is rotated by a second secret, which replaces the first when it is used. A machine that lost its secret
-- claims its agent; once a person has approved that, the same machine may enrol as it again.
ALTER TABLE agent_credentials
    ADD COLUMN next_secret_hash bytea UNIQUE,
    ADD COLUMN rotated_at timestamptz,
    ADD COLUMN rotation_wanted boolean NOT NULL DEFAULT false,
    ADD COLUMN claimed_at timestamptz,
    ADD COLUMN claim_machine_id text,
    ADD COLUMN claim_hostname text,
    ADD COLUMN claim_address text,
    ADD COLUMN approved_until timestamptz;
CREATE INDEX agent_credentials_claims ON agent_credentials (workspace_id, claimed_at) WHERE claimed_at IS NOT NULL;

-- migrate:down

DROP INDEX agent_credentials_claims;
ALTER TABLE agent_credentials
    DROP COLUMN next_secret_hash,
    DROP COLUMN rotated_at,
    DROP COLUMN rotation_wanted,
    DROP COLUMN claimed_at,
    DROP COLUMN claim_machine_id,
    DROP COLUMN claim_hostname,
    DROP COLUMN claim_address,
    DROP COLUMN approved_until;
