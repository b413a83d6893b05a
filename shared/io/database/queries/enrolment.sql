-- name: find_credentials(secret_hashes)
-- Who the agents with these secrets are; `offered` says that the secret is to replace the one before it.
SELECT secret_hash, agent_id, server_id, workspace_id, revoked_at IS NOT NULL AS revoked, false AS offered
FROM agent_credentials WHERE secret_hash = ANY(:secret_hashes::bytea[])
UNION ALL
SELECT next_secret_hash, agent_id, server_id, workspace_id, revoked_at IS NOT NULL, true
FROM agent_credentials WHERE next_secret_hash = ANY(:secret_hashes::bytea[]);

-- name: find_registration(agent_id)^
-- What an agent that may still come in said of itself when it enrolled.
SELECT agent_id, server_id, workspace_id, name, hostname, machine_id, groups, created_at, rotation_wanted,
    enrolment_hash IS NOT NULL AS is_repeatable
FROM agent_credentials WHERE agent_id = :agent_id AND revoked_at IS NULL;

-- name: is_registered(agent_id)$
-- Whether an agent may still come in.
SELECT EXISTS (SELECT FROM agent_credentials WHERE agent_id = :agent_id AND revoked_at IS NULL);

-- name: rotations_wanted(agent_ids)
-- Those of these agents that are to take another secret.
SELECT agent_id FROM agent_credentials
WHERE agent_id = ANY(:agent_ids::text[]) AND rotation_wanted AND revoked_at IS NULL;

-- name: end_enrolment(agent_id)!
-- The agent has its secret: nobody may repeat the enrolment any more.
UPDATE agent_credentials SET enrolment_hash = NULL WHERE agent_id = :agent_id;

-- name: one_at_a_time(enrolment_hash)^
-- Let a repetition wait for the attempt that it repeats; held until the transaction ends.
SELECT pg_advisory_xact_lock(hashtextextended(encode(:enrolment_hash, 'hex'), 0));

-- name: oldest_workspace()$
-- The workspace that the shared token of the environment enrols into.
SELECT id FROM workspaces ORDER BY created_at, id LIMIT 1;

-- name: spend_token(token_hash)^
-- Use an enrolment token once, provided that it is good.
UPDATE enrolment_tokens SET uses_left = uses_left - 1
WHERE token_hash = :token_hash AND uses_left > 0 AND expires_at > now()
RETURNING workspace_id, groups;

-- name: find_token(token_hash)^
-- Why an enrolment token was not good.
SELECT uses_left > 0 AS has_uses_left, expires_at > now() AS is_current FROM enrolment_tokens
WHERE token_hash = :token_hash;

-- name: add_credential(agent_id, workspace_id, server_id, secret_hash, enrolment_hash, name, hostname, machine_id, groups)^
-- Register a new agent; nothing is returned when its id is taken.
INSERT INTO agent_credentials
    (agent_id, workspace_id, server_id, secret_hash, enrolment_hash, name, hostname, machine_id, groups)
VALUES (:agent_id, :workspace_id, :server_id, :secret_hash, :enrolment_hash, :name, :hostname, :machine_id, :groups)
ON CONFLICT (agent_id) DO NOTHING
RETURNING agent_id, server_id, workspace_id, name, hostname, machine_id, groups, created_at;

-- name: renew_credential(agent_id, secret_hash, enrolment_hash, name, hostname, machine_id, groups)^
-- Give an agent that has proven who it is another secret.
UPDATE agent_credentials SET secret_hash = :secret_hash, next_secret_hash = NULL, enrolment_hash = :enrolment_hash,
    name = :name, hostname = :hostname, machine_id = :machine_id, groups = :groups
WHERE agent_id = :agent_id AND revoked_at IS NULL
RETURNING agent_id, server_id, workspace_id, name, hostname, machine_id, groups, created_at;

-- name: repeat_enrolment(enrolment_hash, secret_hash)^
-- Give an enrolment whose answer was lost another secret instead of the one that nobody got.
UPDATE agent_credentials SET secret_hash = :secret_hash
WHERE enrolment_hash = :enrolment_hash AND revoked_at IS NULL
RETURNING agent_id, server_id, workspace_id, name, hostname, machine_id, groups, created_at;
