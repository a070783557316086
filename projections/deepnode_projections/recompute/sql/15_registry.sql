-- The registry: domains and their owners, routes and emission weights; nodes; models.
--
-- An id is taken once. A node is a miner (1) or a validator (2) of one domain for ever, burns no more than its fee, and
-- leaves once, for reason 1 or 2, from that domain. A model's rates are x = a + b, at most the whole. A route is six
-- rates, at most the whole together; each is the next version of its domain and asset. Five emission weights sum with
-- the foundation's part to the whole, and lie within the bounds that hold for their epoch: parameters of the domain or
-- of all, else the ruleset's.
-- Sources: seeds/000 section 2 step 0 and section 3; seeds/001 sections 1, 2 and 4; seeds/004 section 2.

CREATE UNLOGGED TABLE domain AS
SELECT DISTINCT ON (domain) domain, owner, position FROM domain_created ORDER BY domain, position;

CREATE UNLOGGED TABLE domain_owner AS
SELECT domain, owner, position FROM domain
UNION ALL
SELECT c.domain, c.new_owner, c.position FROM domain_owner_changed c JOIN domain d USING (domain)
WHERE d.position < c.position;

CREATE UNLOGGED TABLE route AS
SELECT r.domain, r.asset, row_number() OVER (PARTITION BY r.domain, r.asset ORDER BY r.position) AS version,
    r.new_rates AS rates, r.from_epoch, r.position
FROM revenue_route_set r JOIN domain d ON d.domain = r.domain AND d.position < r.position
WHERE cardinality(r.new_rates) = 6 AND r.from_epoch < 2::numeric ^ 63
    AND (SELECT sum(rate) FROM unnest(r.new_rates) AS rate) <= 1000000;

CREATE INDEX ON route (domain, asset, position);

CREATE UNLOGGED TABLE emission_weights AS
WITH asked AS (
    SELECT w.domain, w.position, w.new_weights, effective_epoch(w.position, w.from_epoch) AS from_epoch
    FROM emission_weights_set w JOIN domain d ON d.domain = w.domain AND d.position < w.position
    WHERE w.from_epoch < 2::numeric ^ 63
), ruled AS (
    SELECT *, rules_at(position, from_epoch) -> 'emission' AS rules FROM asked
), bounded AS (
    SELECT r.position, bool_and(r.new_weights[leg.n] BETWEEN
        coalesce(parameter_at(r.position, r.domain, 'emission.' || leg.name || '.floor', r.from_epoch),
                 (r.rules -> leg.name ->> 'floor_ppm')::numeric)
        AND coalesce(parameter_at(r.position, r.domain, 'emission.' || leg.name || '.ceiling', r.from_epoch),
                     (r.rules -> leg.name ->> 'ceiling_ppm')::numeric)) AS within,
        sum(r.new_weights[leg.n]) + max((r.rules ->> 'foundation_ppm')::numeric) AS total
    FROM ruled r CROSS JOIN unnest('{miners,stakers,validators,owner,models}'::text[]) WITH ORDINALITY AS leg(name, n)
    GROUP BY r.position
)
SELECT r.domain, row_number() OVER (PARTITION BY r.domain ORDER BY r.position) AS version, r.from_epoch::bigint,
    r.new_weights AS weights, r.position
FROM ruled r JOIN bounded b USING (position) WHERE b.within AND b.total = 1000000;

CREATE UNLOGGED TABLE node AS
WITH registration AS (
    SELECT DISTINCT ON (node) node, domain, operator, role::bigint, fee, fee_burned, position FROM registered
    WHERE role IN (1, 2) AND fee_burned <= fee AND fee < 10::numeric ^ 38
    ORDER BY node, position
), leaving AS (
    SELECT DISTINCT ON (d.node) d.node, d.reason::bigint AS left_reason, d.position AS left_position
    FROM deregistered d JOIN registration r ON r.node = d.node AND r.domain = d.domain AND r.position < d.position
    WHERE d.reason IN (1, 2) ORDER BY d.node, d.position
)
SELECT r.*, l.left_position IS NULL AS active, l.left_reason, l.left_position, epoch_at(l.left_position) AS left_epoch
FROM registration r LEFT JOIN leaving l USING (node);

CREATE UNIQUE INDEX ON node (node);

CREATE UNLOGGED TABLE model AS
SELECT DISTINCT ON (model) model, domain, creator, a::bigint, b::bigint, x::bigint, position FROM model_registered
WHERE a + b = x AND x <= 1000000 ORDER BY model, position;

CREATE UNIQUE INDEX ON model (model);
