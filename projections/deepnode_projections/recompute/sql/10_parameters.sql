-- Parameters and rulesets: what is set holds from an epoch on; of the settings whose epoch has come, the last one made.
--
-- A parameter has a scope (a domain, or zeros for all) and a key. Rulesets are numbered from 1; one out of order has no
-- effect. A ruleset whose text does not come with the program is taken for the default, except where a split would be
-- judged by it. Numbers from 2**63 and amounts from 10**38 on have no effect, here and everywhere.
-- Sources: seeds/001 sections 1 and 4; docs/rulesets.md; docs/devnet.md (oracle, 3).

CREATE UNLOGGED TABLE parameter AS
SELECT scope, key, row_number() OVER (PARTITION BY scope, key ORDER BY position) AS version, new_value AS value,
    effective_epoch(position, effective_at)::bigint AS from_epoch,
    nullif(proposal, decode(repeat('00', 32), 'hex')) AS proposal, position
FROM param_set WHERE new_value < 10::numeric ^ 38 AND effective_at < 2::numeric ^ 63;

CREATE INDEX ON parameter (scope, key, version);

CREATE FUNCTION parameter_at(place bigint, in_scope bytea, name text, in_epoch numeric) RETURNS numeric
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $$
    SELECT value FROM parameter
    WHERE scope IN (in_scope, decode(repeat('00', 32), 'hex'))
        AND key = convert_to(name, 'UTF8') || decode(repeat('00', 32 - length(name)), 'hex')
        AND from_epoch <= in_epoch AND position < place
    ORDER BY scope = in_scope DESC, version DESC LIMIT 1
$$;

CREATE UNLOGGED TABLE ruleset_in_force AS
WITH RECURSIVE activated AS (
    SELECT 0::numeric AS version, NULL::bytea AS spec_hash, 0::numeric AS from_epoch, 0::bigint AS position
    UNION ALL
    SELECT next.* FROM activated CROSS JOIN LATERAL (
        SELECT r.version, r.spec_hash, effective_epoch(r.position, r.from_epoch), r.position FROM ruleset_activated r
        WHERE r.version = activated.version + 1 AND r.position > activated.position AND r.from_epoch < 2::numeric ^ 63
        ORDER BY r.position LIMIT 1
    ) AS next
)
SELECT version::bigint, spec_hash, from_epoch::bigint, position FROM activated WHERE version > 0;

-- The ruleset of an epoch, as far as it was known at a position.
CREATE FUNCTION ruleset_hash_at(place bigint, in_epoch numeric) RETURNS bytea LANGUAGE sql STABLE STRICT PARALLEL SAFE
    RETURN (SELECT spec_hash FROM ruleset_in_force WHERE from_epoch <= in_epoch AND position < place
            ORDER BY version DESC LIMIT 1);

CREATE FUNCTION rules_at(place bigint, in_epoch numeric) RETURNS jsonb LANGUAGE sql STABLE STRICT PARALLEL SAFE
    RETURN coalesce(
        (SELECT r.rules FROM ruleset_hash h JOIN ruleset r USING (name) WHERE h.hash = ruleset_hash_at(place, in_epoch)),
        (SELECT r.rules FROM ruleset r WHERE r.name = 'default'));
