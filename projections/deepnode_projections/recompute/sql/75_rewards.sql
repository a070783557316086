-- Rewards: who earns a leg of a pool, line by line, with the divisions that lead to it.
--
-- A leg is divided by its earners' weights, by largest remainder, ties to the lower address and then the lower id. Of a
-- validator's part its operator gets the commission, rounded down; the rest is divided by stake on the node at the
-- epoch's start, or the operator's where there is none. A model's part is divided by b to its creator and a to its
-- backers, theirs by shares at the epoch's start, or the creator's where there are none. Nobody has a line of nothing.
-- Sources: seeds/000 section 2 step 4; seeds/001 section 4; seeds/004 step 3; docs/devnet.md (oracle, 7 and 8).

CREATE UNLOGGED TABLE part AS
WITH legs AS (
    SELECT e.*, p.epoch, p.domain, p.asset, p.amount AS of, sum(e.weight) OVER (PARTITION BY e.position, e.leg) AS total
    FROM earner e JOIN expected_pool p ON p.position = e.position AND p.name = e.leg WHERE e.weight > 0
), floors AS (
    SELECT *, div(of * weight, total) AS floor,
        row_number() OVER (PARTITION BY position, leg ORDER BY of * weight % total DESC, earner, subject) AS rank,
        of - sum(div(of * weight, total)) OVER (PARTITION BY position, leg) AS left_over
    FROM legs
)
SELECT position, epoch, domain, asset, leg, earner, subject, floor + (rank <= left_over)::int AS amount,
    of || ' * ' || weight || ' / ' || total || ' + ' || (rank <= left_over)::int AS path
FROM floors;

-- Validators' and models' parts, each divided in two: what is the operator's or creator's own, and what others share.
CREATE UNLOGGED TABLE half AS
SELECT p.position, p.epoch, p.domain, p.asset, p.leg, p.earner, p.subject, side.is_own, side.amount,
    p.path || '; ' || p.amount || ' * ' || side.weight || ' / 1000000 + ' || side.extra AS path
FROM part p CROSS JOIN LATERAL (SELECT commission_at(p.position, p.subject, p.epoch)::numeric AS rate) AS c
CROSS JOIN LATERAL (VALUES
    (true, div(p.amount * c.rate, 1000000), c.rate, 0),
    (false, p.amount - div(p.amount * c.rate, 1000000), 1000000 - c.rate, (p.amount * c.rate % 1000000 > 0)::int)
) AS side(is_own, amount, weight, extra)
WHERE p.leg = 'validators'
UNION ALL
SELECT p.position, p.epoch, p.domain, p.asset, p.leg, p.earner, p.subject, side.is_own,
    div(p.amount * side.weight, w.total) + side.extra,
    p.path || '; ' || p.amount || ' * ' || side.weight || ' / ' || w.total || ' + ' || side.extra
FROM part p JOIN model m ON m.model = p.subject
CROSS JOIN LATERAL (SELECT CASE WHEN m.a + m.b = 0 THEN 1 ELSE m.b END AS own, greatest(m.a + m.b, 1) AS total) AS w
CROSS JOIN LATERAL (
    -- One unit is left where there is a remainder: to the larger of the two, the creator's if they are equal.
    SELECT (p.amount * w.own % w.total > 0 AND p.amount * w.own % w.total >= p.amount * (w.total - w.own) % w.total)::int
        AS own, (p.amount * w.own % w.total < p.amount * (w.total - w.own) % w.total)::int AS rest
) AS extra
CROSS JOIN LATERAL (VALUES (true, w.own, extra.own), (false, w.total - w.own, extra.rest)) AS side(is_own, weight, extra)
WHERE p.leg = 'models' AND side.weight > 0;

CREATE UNLOGGED TABLE shared AS
WITH held AS (
    SELECT h.*, s.staker AS holder, s.amount AS weight FROM half h
    CROSS JOIN LATERAL stakes_at(1, h.subject, h.epoch) AS s WHERE h.leg = 'validators' AND NOT h.is_own
    UNION ALL
    SELECT h.*, b.backer, b.shares FROM half h
    JOIN backer_at b ON b.epoch = h.epoch AND b.model = h.subject WHERE h.leg = 'models' AND NOT h.is_own
), floors AS (
    SELECT *, div(amount * weight, total) AS floor,
        row_number() OVER (PARTITION BY position, subject ORDER BY amount * weight % total DESC, holder) AS rank,
        amount - sum(div(amount * weight, total)) OVER (PARTITION BY position, subject) AS left_over
    FROM (SELECT *, sum(weight) OVER (PARTITION BY position, subject) AS total FROM held) AS h
)
SELECT position, epoch, domain, asset, leg, holder, subject, floor + (rank <= left_over)::int AS amount,
    path || '; ' || amount || ' * ' || weight || ' / ' || total || ' + ' || (rank <= left_over)::int AS path
FROM floors;

CREATE UNLOGGED TABLE reward AS
SELECT * FROM (
    SELECT position, epoch, domain, asset, CASE leg WHEN 'miners' THEN 'miner' ELSE 'staker' END AS role,
        CASE leg WHEN 'miners' THEN 'work' ELSE 'stake' END AS kind, subject, earner, amount, path
    FROM part WHERE leg IN ('miners', 'stakers')
    UNION ALL
    SELECT h.position, h.epoch, h.domain, h.asset, CASE h.leg WHEN 'validators' THEN 'validator' ELSE 'creator' END,
        CASE WHEN h.leg = 'validators' AND h.is_own THEN 'commission' WHEN h.leg = 'validators' THEN 'no_delegators'
             WHEN h.is_own THEN 'royalty' ELSE 'backing' END, h.subject, h.earner, h.amount, h.path
    FROM half h CROSS JOIN LATERAL (SELECT rules_at(h.position, h.epoch) -> 'emission' AS rules) AS t
    WHERE h.is_own OR (NOT EXISTS (SELECT FROM shared s WHERE s.position = h.position AND s.subject = h.subject
                                   AND s.leg = h.leg)
        AND CASE h.leg WHEN 'validators' THEN t.rules ->> 'no_delegators' = 'validator'
            ELSE t.rules ->> 'no_backers' = 'creator' END)
    UNION ALL
    SELECT position, epoch, domain, asset, CASE leg WHEN 'validators' THEN 'delegator' ELSE 'backer' END,
        CASE leg WHEN 'validators' THEN 'delegation' ELSE 'backing' END, subject, holder, amount, path FROM shared
    UNION ALL
    SELECT p.position, p.epoch, p.domain, p.asset, e.leg, e.leg, p.domain, e.earner, p.amount,
        p.amount || ' * 1 / 1 + 0'
    FROM expected_pool p JOIN earner e ON e.position = p.position AND e.leg = p.name WHERE p.name = 'owner'
    UNION ALL
    SELECT p.position, p.epoch, p.domain, p.asset, 'foundation', 'fixed', p.domain, d.foundation, p.amount,
        p.amount || ' * 1 / 1 + 0'
    FROM expected_pool p CROSS JOIN deployment d WHERE p.name = 'foundation' AND d.foundation IS NOT NULL
) AS line WHERE amount > 0;

-- What an earner gets of an asset for one epoch.
CREATE UNLOGGED TABLE earned AS
SELECT asset, earner, epoch, sum(amount) AS amount FROM reward GROUP BY asset, earner, epoch;

-- What a root should entitle to: all that was allocated before it was submitted, up to its epoch.
CREATE UNLOGGED TABLE expected_root AS
SELECT r.epoch, r.asset, coalesce(sum(l.amount), 0) AS total, count(DISTINCT l.earner) AS earners
FROM reward_root r LEFT JOIN reward l ON l.asset = r.asset AND l.epoch <= r.epoch AND l.position < r.position
GROUP BY r.epoch, r.asset;
