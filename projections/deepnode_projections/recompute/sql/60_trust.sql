-- Trust: a score of 0 to 1 000 000 ppm that each outcome moves a part of the way towards where it leads.
--
-- t = (t * (10**6 - alpha) + target * alpha) div 10**6, in the order of the log, from the ruleset's start. Steps are the
-- outcomes of tasks, a review that finds a registered node at fault (upheld, by the case's severity), and, once an
-- epoch, what a model's users said of it (towards their satisfaction, as far as an approved output goes).
-- Sources: seeds/000 section 2 steps 2 and 3 and section 3; DESIGN section 6; docs/devnet.md (oracle, 10).

DO $$
DECLARE
    c record;
BEGIN
    FOR c IN
        SELECT k.decided_position AS position, n.role, n.node, n.domain, k.severity FROM collateral_case k
        JOIN node n ON n.node = k.node AND n.position < k.decided_position WHERE k.verdict <> 0
    LOOP
        CALL learn(c.position, rules_at(c.position, epoch_at(c.position)) -> 'trust', c.role, c.node, c.domain,
            'upheld', c.severity);
    END LOOP;
END $$;

INSERT INTO trust_step (position, subject_type, subject, domain, outcome, start, alpha, target)
SELECT r.position, 3, r.model, r.domain, 'feedback', (t.rules ->> 'start_ppm')::bigint,
    (t.rules #>> '{approved,alpha_ppm}')::bigint, r.satisfaction
FROM model_rank r CROSS JOIN LATERAL (SELECT rules_at(r.position, r.epoch) -> 'trust' AS rules) AS t
WHERE r.ratings > 0;

CREATE FUNCTION trust_after(score numeric, start bigint, alpha bigint, target bigint) RETURNS numeric
LANGUAGE sql IMMUTABLE AS $$
    SELECT div(coalesce(score, start) * (1000000 - alpha) + target::numeric * alpha, 1000000)
$$;

CREATE AGGREGATE trust_of(bigint, bigint, bigint) (SFUNC = trust_after, STYPE = numeric);

CREATE UNLOGGED TABLE trust AS
SELECT subject_type, subject, domain, trust_of(start, alpha, target ORDER BY position, place) AS score,
    count(*) AS updates, (array_agg(outcome ORDER BY position DESC, place DESC))[1] AS reason
FROM trust_step GROUP BY subject_type, subject, domain;
