-- Pools: what the rules make of an allocation: seven parts of a domain's pool.
--
-- The pool is divided by the domain's weights for the epoch and the foundation's fixed part, by largest remainder: each
-- gets the floor of its share, the units that are left go one each to the largest remainders, ties to the earlier leg. A
-- leg that nobody has earned is undistributed, or the foundation's if the ruleset says so. Miners earn by VWU x
-- difficulty, stakers by stake on the domain at the epoch's start, validators by judgements in line, models by use x
-- relevance, the owner by being it at the epoch's start.
-- Sources: seeds/000 section 2 step 4; seeds/001 sections 2 and 4; DESIGN section 6; docs/devnet.md (oracle, 6 and 7).

CREATE UNLOGGED TABLE earner AS
SELECT a.position, 'miners' AS leg, n.operator AS earner, w.node AS subject, w.weighted AS weight
FROM allocation a JOIN work w USING (epoch, domain) JOIN node n ON n.node = w.node AND n.position < a.position
UNION ALL
SELECT a.position, 'validators', n.operator, w.validator, w.weighted
FROM allocation a JOIN validator_work w USING (epoch, domain)
JOIN node n ON n.node = w.validator AND n.position < a.position
UNION ALL
SELECT a.position, 'stakers', s.staker, a.domain, s.amount
FROM allocation a CROSS JOIN LATERAL stakes_at(4, a.domain, a.epoch) AS s
UNION ALL
SELECT a.position, 'models', m.creator, u.model, coalesce(r.relevance, 1000000) * CASE t.rules ->> 'model_use'
        WHEN 'weighted' THEN u.weighted WHEN 'tasks' THEN u.tasks ELSE coalesce(s.amount, 0) END
FROM allocation a JOIN model_use u USING (epoch, domain)
JOIN model m ON m.model = u.model AND m.position < a.position
LEFT JOIN model_rank r ON r.epoch = u.epoch AND r.domain = u.domain AND r.model = u.model
LEFT JOIN sales s ON s.epoch = u.epoch AND s.domain = u.domain AND s.model = u.model AND s.asset = a.asset
CROSS JOIN LATERAL (SELECT rules_at(a.position, a.epoch) -> 'emission' AS rules) AS t
UNION ALL
SELECT a.position, 'owner', o.owner, a.domain, 1
FROM allocation a JOIN epoch e USING (epoch) CROSS JOIN LATERAL (
    SELECT owner FROM domain_owner d WHERE d.domain = a.domain AND d.position < e.opened_position
    ORDER BY d.position DESC LIMIT 1
) AS o;

CREATE UNLOGGED TABLE expected_pool AS
WITH weighted AS (
    SELECT a.position, a.epoch, a.domain, a.asset, a.pool, t.rules ->> 'empty_pool' AS empty_pool, leg.name, leg.n,
        CASE WHEN leg.n = 6 THEN (t.rules ->> 'foundation_ppm')::numeric
             WHEN jsonb_typeof(t.rules -> 'fixed_weights') = 'object'
                 THEN (t.rules #>> ARRAY['fixed_weights', leg.name])::numeric
             ELSE w.weights[leg.n] END AS weight,
        leg.n = 6 OR EXISTS (SELECT FROM earner e WHERE e.position = a.position AND e.leg = leg.name
                             AND e.weight > 0) AS is_earned
    FROM allocation a
    CROSS JOIN LATERAL (SELECT rules_at(a.position, a.epoch) -> 'emission' AS rules) AS t
    CROSS JOIN LATERAL (
        SELECT weights FROM emission_weights e
        WHERE e.domain = a.domain AND e.from_epoch <= a.epoch AND e.position < a.position
        ORDER BY e.version DESC LIMIT 1
    ) AS w
    CROSS JOIN unnest('{miners,stakers,validators,owner,models,foundation}'::text[]) WITH ORDINALITY AS leg(name, n)
), divided AS (
    SELECT *, div(pool * weight, sum(weight) OVER pools) AS floor,
        row_number() OVER (PARTITION BY position ORDER BY pool * weight % sum_weight DESC, n) AS rank,
        pool - sum(div(pool * weight, sum_weight)) OVER pools AS left_over
    FROM (SELECT *, sum(weight) OVER (PARTITION BY position) AS sum_weight FROM weighted) AS w
    WINDOW pools AS (PARTITION BY position)
), legs AS (
    SELECT *, floor + (rank <= left_over)::int AS amount FROM divided
), unearned AS (
    SELECT position, coalesce(sum(amount) FILTER (WHERE NOT is_earned), 0) AS amount FROM legs GROUP BY position
)
SELECT l.position, l.epoch, l.domain, l.asset, l.name, CASE WHEN NOT l.is_earned THEN 0
    WHEN l.n = 6 AND l.empty_pool = 'foundation' THEN l.amount + u.amount ELSE l.amount END AS amount
FROM legs l JOIN unearned u USING (position)
UNION ALL
SELECT DISTINCT l.position, l.epoch, l.domain, l.asset, 'undistributed',
    CASE WHEN l.empty_pool = 'foundation' THEN 0 ELSE u.amount END
FROM legs l JOIN unearned u USING (position);
