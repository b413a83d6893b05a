-- name: offer_secret(agent_id, secret_hash)$
-- Give an agent a second secret, which replaces the first once it is used; an earlier offer is void.
UPDATE agent_credentials SET next_secret_hash = :secret_hash
WHERE agent_id = :agent_id AND revoked_at IS NULL RETURNING agent_id;

-- name: take_up_secrets(secret_hashes)
-- Let the secrets that were offered and are used now replace those before them.
UPDATE agent_credentials
SET secret_hash = next_secret_hash, next_secret_hash = NULL, rotated_at = now(), rotation_wanted = false
WHERE next_secret_hash = ANY(:secret_hashes::bytea[]) RETURNING agent_id;

-- name: claim_agent(agent_id, workspace_id, machine_id, hostname, address)!
-- Keep that a machine says it is this agent, and has no secret to show. While an approval holds, nothing changes it, and
-- a machine that repeats itself makes no other claim: `claimed_at` is when this one was made, and names it.
UPDATE agent_credentials
SET claimed_at = CASE
        WHEN (claim_machine_id, claim_hostname, claim_address) = (:machine_id, :hostname, :address)
            AND approved_until IS NULL
        THEN claimed_at
        ELSE now()
    END,
    claim_machine_id = :machine_id, claim_hostname = :hostname, claim_address = :address, approved_until = NULL
WHERE agent_id = :agent_id AND workspace_id = :workspace_id AND revoked_at IS NULL
    AND (approved_until IS NULL OR approved_until <= now());

-- name: is_revoked(agent_id, workspace_id)$
-- Whether this is an agent of the workspace whose credential was revoked.
SELECT EXISTS (
    SELECT FROM agent_credentials
    WHERE agent_id = :agent_id AND workspace_id = :workspace_id AND revoked_at IS NOT NULL
);

-- name: approved_agent(agent_id, workspace_id, machine_id)$
-- The agent, where a person has approved that this machine becomes it again.
SELECT agent_id FROM agent_credentials
WHERE agent_id = :agent_id AND workspace_id = :workspace_id AND claim_machine_id = :machine_id
    AND approved_until > now() AND revoked_at IS NULL
FOR UPDATE;

-- name: end_claim(agent_id)!
-- Forget that an agent was claimed.
UPDATE agent_credentials
SET claimed_at = NULL, claim_machine_id = NULL, claim_hostname = NULL, claim_address = NULL, approved_until = NULL
WHERE agent_id = :agent_id;

-- name: agent_identity(workspace_id, agent_id)^
-- What is known of an agent's credential.
SELECT agent_id, server_id, hostname, machine_id, created_at, rotated_at, rotation_wanted, revoked_at, claimed_at,
    claim_machine_id, claim_hostname, claim_address, approved_until
FROM agent_credentials WHERE workspace_id = :workspace_id AND agent_id = :agent_id;

-- name: list_claims(workspace_id, most)
-- The agents that machines without a secret say they are, the newest claim first.
SELECT agent_id, server_id, hostname, machine_id, created_at, rotated_at, rotation_wanted, revoked_at, claimed_at,
    claim_machine_id, claim_hostname, claim_address, approved_until
FROM agent_credentials
WHERE workspace_id = :workspace_id AND claimed_at IS NOT NULL AND revoked_at IS NULL
ORDER BY claimed_at DESC, agent_id LIMIT :most;

-- name: approve_claim(workspace_id, agent_id, machine_id, claimed_at, for_s)$
-- Let the machine that claims an agent enrol as it, for a time, if that is the claim that was seen.
UPDATE agent_credentials SET approved_until = now() + make_interval(secs => :for_s)
WHERE workspace_id = :workspace_id AND agent_id = :agent_id AND revoked_at IS NULL
    AND claim_machine_id = :machine_id AND claimed_at = :claimed_at
RETURNING agent_id;

-- name: refuse_claim(workspace_id, agent_id)$
-- Forget a claim.
UPDATE agent_credentials
SET claimed_at = NULL, claim_machine_id = NULL, claim_hostname = NULL, claim_address = NULL, approved_until = NULL
WHERE workspace_id = :workspace_id AND agent_id = :agent_id AND claimed_at IS NOT NULL RETURNING agent_id;

-- name: want_rotation(workspace_id, agent_id)$
-- Ask an agent to take another secret.
UPDATE agent_credentials SET rotation_wanted = true
WHERE workspace_id = :workspace_id AND agent_id = :agent_id AND revoked_at IS NULL RETURNING agent_id;

-- name: revoke_agent(workspace_id, agent_id)$
-- Take an agent its credential.
UPDATE agent_credentials SET revoked_at = now(), next_secret_hash = NULL
WHERE workspace_id = :workspace_id AND agent_id = :agent_id AND revoked_at IS NULL RETURNING agent_id;
