-- Work: what miners, validators and models did in an epoch, as the totals that rewards are divided by.
--
-- A miner's work are the VWU credited to it times the task's difficulty, a validator's the difficulty of its judgements
-- that found what the majority found, a model's what was credited for its tasks. All counts in the epoch in which it was
-- credited or agreed on. Sums, so the order within an epoch changes none of them.
-- Sources: seeds/000 section 2 steps 3 and 4; seeds/001 section 4; docs/devnet.md (oracle, 4).

CREATE UNLOGGED TABLE work AS
SELECT c.epoch, t.domain, c.node, sum(c.vwu) AS vwu, sum(c.vwu * t.difficulty) AS weighted, count(*) AS tasks
FROM credited c JOIN task t USING (task) GROUP BY c.epoch, t.domain, c.node;

CREATE UNLOGGED TABLE validator_work AS
SELECT j.epoch, t.domain, j.validator, count(*) AS validations, count(*) FILTER (WHERE j.in_consensus) AS in_line,
    coalesce(sum(t.difficulty) FILTER (WHERE j.in_consensus), 0) AS weighted
FROM judged j JOIN task t USING (task) WHERE j.validator IS NOT NULL GROUP BY j.epoch, t.domain, j.validator;

CREATE UNLOGGED TABLE model_use AS
WITH parts AS (
    SELECT c.epoch, c.task, count(DISTINCT c.position) AS tasks, sum(c.vwu) AS vwu, 0::bigint AS judged,
        0::bigint AS correct, 0::bigint AS ratings, 0::numeric AS stars
    FROM credited c GROUP BY c.epoch, c.task
    UNION ALL
    SELECT j.epoch, j.task, 0, 0, count(j.in_consensus), count(*) FILTER (WHERE j.in_consensus), 0, 0
    FROM judged j WHERE j.validator IS NULL GROUP BY j.epoch, j.task
    UNION ALL
    SELECT r.epoch, r.task, 0, 0, 0, 0, r.ratings, r.stars FROM rated r
)
SELECT p.epoch, t.domain, t.model, sum(p.tasks) AS tasks, sum(p.vwu) AS vwu, sum(p.vwu * t.difficulty) AS weighted,
    sum(p.judged) AS judged, sum(p.correct) AS correct, sum(p.ratings) AS ratings, sum(p.stars) AS stars
FROM parts p JOIN task t USING (task) GROUP BY p.epoch, t.domain, t.model;
