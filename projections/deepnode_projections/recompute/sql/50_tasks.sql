-- Tasks: asked for, given to two nodes, answered, judged, and tried again or ended.
--
-- A task is created; assigned, slot by slot, to different miners of its domain; answered; judged by validators of the
-- domain, each slot by each once; and agreed on: a slot without an answer is missing, one that more than the majority of
-- its validations (a quorum at least) found correct is correct, else it is incorrect. A consensus that claims anything
-- else has no effect. An attempt that is not approved may be followed by another, three at most; else the task is
-- rejected or expires. What does not follow in this order, breaks its form, or names a node that the registry knows to be
-- another's, of another role, or gone in an epoch before, has no effect. Each outcome is a step of somebody's trust.
-- VWU, difficulty, price and rating can be corrected while the epoch that counts them lasts.
-- Sources: seeds/000 section 2 steps 1 to 3; seeds/002 section 2; docs/task-events.md; docs/corrections.md;
-- docs/devnet.md (oracle, 4 and 10).

CREATE UNLOGGED TABLE task (
    task bytea PRIMARY KEY, domain bytea, model bytea, price numeric, asset bytea, difficulty bigint, epoch bigint,
    stage text, attempt bigint, producer text, event_id text, judged_epoch bigint, credited_epoch bigint
);
CREATE UNLOGGED TABLE task_slot (
    task bytea, attempt bigint, slot bigint, node bytea, output_position bigint, severity bigint DEFAULT 0,
    verdict text, vwu bigint, credited_vwu bigint, vwu_producer text, vwu_event text, PRIMARY KEY (task, attempt, slot)
);
CREATE UNLOGGED TABLE validation (
    task bytea, attempt bigint, slot bigint, validator bytea, verdict text, in_consensus boolean,
    PRIMARY KEY (task, attempt, slot, validator)
);
CREATE UNLOGGED TABLE reported (
    task bytea, attempt bigint, slot bigint, validator bytea, PRIMARY KEY (task, attempt, slot, validator)
);
CREATE UNLOGGED TABLE trust_step (
    position bigint, place int GENERATED ALWAYS AS IDENTITY, subject_type bigint, subject bytea, domain bytea,
    outcome text, severity bigint, start bigint, alpha bigint, target bigint
);
CREATE UNLOGGED TABLE judged (
    position bigint, epoch bigint, task bytea, attempt bigint, slot bigint, validator bytea, in_consensus boolean
);
CREATE UNLOGGED TABLE credited (
    position bigint, epoch bigint, task bytea, node bytea, vwu numeric
);
CREATE INDEX ON credited (task);
CREATE UNLOGGED TABLE rated (position bigint, epoch bigint, task bytea, ratings int, stars bigint);
CREATE UNLOGGED TABLE rating_told (
    producer text, event_id text, task bytea, value bigint, epoch bigint, PRIMARY KEY (producer, event_id)
);
CREATE UNLOGGED TABLE rating_of (task bytea PRIMARY KEY, rating bigint, producer text, event_id text);
CREATE UNLOGGED TABLE correction (
    producer text, corrects text, sequence bigint, value_name text, value numeric, in_time boolean,
    PRIMARY KEY (producer, corrects, sequence)
);
-- What was sold, and by how much a correction changed it. Rows are added and never changed: of a row that is changed
-- thousands of times in one transaction each version is read again.
CREATE UNLOGGED TABLE sale (epoch bigint, domain bytea, model bytea, asset bytea, tasks int, amount numeric);

-- Whether a node may work in a domain in a role, as far as the registry knows it.
CREATE FUNCTION may_work(place bigint, of_node bytea, in_role bigint, in_domain bytea) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT NOT EXISTS (
        SELECT FROM node n WHERE n.node = of_node AND n.position < place
        AND (n.role <> in_role OR n.domain <> in_domain
            OR (n.left_position < place AND n.left_epoch < epoch_at(place))))
$$;

-- The step of an outcome by the rules of its epoch; a severity above the last that they name counts as the last.
CREATE PROCEDURE learn(place bigint, rules jsonb, kind bigint, of_subject bytea, in_domain bytea, of_outcome text,
    how_severe bigint) LANGUAGE plpgsql AS $$
DECLARE
    step jsonb := rules -> of_outcome;
BEGIN
    IF jsonb_typeof(step) = 'array' THEN
        step := step -> (least(greatest(how_severe, 1), jsonb_array_length(step)) - 1)::int;
    END IF;
    IF (step ->> 'alpha_ppm')::bigint <> 0 THEN
        INSERT INTO trust_step (position, subject_type, subject, domain, outcome, severity, start, alpha, target)
        VALUES (place, kind, of_subject, in_domain, of_outcome, how_severe, (rules ->> 'start_ppm')::bigint,
            (step ->> 'alpha_ppm')::bigint, (step ->> 'target_ppm')::bigint);
    END IF;
END $$;

-- An attempt ends without a consensus: that is the fault of the nodes that have not answered.
CREATE PROCEDURE blame_the_silent(place bigint, t task, rules jsonb) LANGUAGE plpgsql AS $$
DECLARE
    silent bytea;
BEGIN
    FOR silent IN
        UPDATE task_slot s SET verdict = 'missing'
        WHERE s.task = t.task AND s.attempt = t.attempt AND s.output_position IS NULL RETURNING s.node
    LOOP
        CALL learn(place, rules, 1, silent, t.domain, 'expired', 1);
    END LOOP;
END $$;

-- The work that counts for each correct output of a task, in the order of their answers: all of what was assigned
-- (full), that of the first alone (first), or their mean, rounded down, divided by what was assigned (split): by largest
-- remainder, an odd unit to the earlier.
CREATE FUNCTION credit(policy text, assigned numeric[]) RETURNS TABLE (n bigint, vwu numeric) LANGUAGE sql IMMUTABLE AS $$
    WITH each AS (
        SELECT o AS n, v, sum(v) OVER () AS total, div(sum(v) OVER (), count(*) OVER ()) AS mean
        FROM unnest(assigned) WITH ORDINALITY AS w(v, o)
    ), floors AS (
        SELECT *, div(mean * v, total) AS floor, row_number() OVER (ORDER BY mean * v % total DESC, n) AS rank,
            mean - sum(div(mean * v, total)) OVER () AS left_over FROM each
    )
    SELECT n, CASE policy WHEN 'full' THEN v WHEN 'first' THEN CASE n WHEN 1 THEN v ELSE 0 END
        WHEN 'split' THEN floor + (rank <= left_over)::int END FROM floors
$$;

-- Whether a model's sales of an epoch in an asset can be held with an amount more. No sum of sales is above what all
-- sales together have brought, which is enough to know but for amounts that nobody ever saw.
CREATE FUNCTION can_hold(brought numeric, in_epoch bigint, t task, more numeric) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN brought + more < 10::numeric ^ 38 THEN true ELSE more + coalesce((SELECT sum(s.amount) FROM sale s
        WHERE s.epoch = in_epoch AND s.domain = t.domain AND s.model = t.model AND s.asset = t.asset), 0)
        < 10::numeric ^ 38 END
$$;

-- Count a task's work, whose correct outputs all have VWU, in place of what was counted of it before.
CREATE PROCEDURE credit_task(place bigint, t task, now_epoch bigint, policy text, is_late boolean) LANGUAGE plpgsql AS $$
DECLARE
    c record;
BEGIN
    DELETE FROM credited o WHERE o.task = t.task;
    FOR c IN
        WITH answered AS (
            SELECT slot, node, vwu, row_number() OVER (ORDER BY output_position) AS n FROM task_slot o
            WHERE o.task = t.task AND o.attempt = t.attempt AND o.verdict = 'correct'
        )
        SELECT a.slot, a.node, counts.vwu
        FROM credit(policy, (SELECT array_agg(vwu ORDER BY n) FROM answered)) AS counts JOIN answered a USING (n)
    LOOP
        UPDATE task_slot o SET credited_vwu = CASE WHEN is_late THEN 0 ELSE c.vwu END
        WHERE o.task = t.task AND o.attempt = t.attempt AND o.slot = c.slot;
        IF NOT is_late THEN
            INSERT INTO credited VALUES (place, now_epoch, t.task, c.node, c.vwu);
        END IF;
    END LOOP;
END $$;

DO $$
DECLARE
    e statement;
    t task;
    s task_slot;
    v record;
    rules jsonb;
    now_epoch bigint;
    rules_epoch bigint;
    correct bigint[];
    wanting bigint;
    late boolean;
    is_dropped boolean;
    told rating_told;
    stands rating_of;
    correcting text;
    counted bigint;
    brought numeric := 0;
BEGIN
    FOR e IN SELECT * FROM statement ORDER BY position LOOP
        SELECT * INTO t FROM task WHERE task.task = e.task;
        IF e.what = 'task.created' THEN
            CONTINUE WHEN t.task IS NOT NULL OR NOT is_token(e.chain_id, e.asset, NULL, NULL, e.position)
                OR EXISTS (SELECT FROM model m WHERE m.model = e.model AND m.position < e.position
                           AND m.domain <> e.domain);
            INSERT INTO task VALUES (e.task, e.domain, e.model, e.price, e.asset, e.difficulty, epoch_at(e.position),
                'created', 1, e.producer, e.event_id);
            CONTINUE;
        END IF;
        now_epoch := epoch_at(e.position);
        -- An epoch keeps the rules of its start; before epoch 1 there is no start.
        IF rules_epoch IS DISTINCT FROM now_epoch OR now_epoch = 0 THEN
            rules := rules_at(e.position, now_epoch);
            rules_epoch := now_epoch;
        END IF;
        IF e.what = 'correction' THEN
            -- What was measured can be corrected, by its producer, and again: the one with the highest sequence number
            -- holds. The books go on with it as long as no epoch that is over has counted the wrong value.
            IF e.task IS NULL AND num_nonnulls(e.vwu, e.difficulty, e.price) = 0 THEN
                SELECT * INTO told FROM rating_told r WHERE r.producer = e.producer AND r.event_id = e.corrects;
                CONTINUE WHEN told.task IS NULL OR num_nonnulls(e.price_ppm, e.amount) > 0;
                correcting := 'rating';
                counted := told.epoch;
            ELSE
                CONTINUE WHEN t.task IS NULL OR num_nonnulls(e.vwu, e.difficulty, e.price) <> 1
                    OR num_nonnulls(e.price_ppm, e.rating, e.amount) > 0;
                correcting := CASE WHEN e.vwu IS NOT NULL THEN 'vwu' WHEN e.price IS NOT NULL THEN 'price'
                    ELSE 'difficulty_ppm' END;
                counted := CASE correcting WHEN 'difficulty_ppm' THEN t.judged_epoch ELSE t.credited_epoch END;
                IF correcting = 'vwu' THEN
                    CONTINUE WHEN NOT EXISTS (SELECT FROM task_slot o WHERE o.task = e.task AND o.attempt = e.attempt
                        AND o.slot = e.slot AND o.vwu IS NOT NULL AND o.vwu_producer = e.producer
                        AND o.vwu_event = e.corrects);
                ELSE
                    CONTINUE WHEN t.producer <> e.producer OR t.event_id <> e.corrects;
                END IF;
            END IF;
            late := coalesce(counted <> now_epoch, false);
            IF NOT late AND NOT EXISTS (SELECT FROM correction c WHERE c.producer = e.producer
                    AND c.corrects = e.corrects AND c.value_name = correcting AND c.sequence >= e.sequence) THEN
                is_dropped := now_epoch > t.epoch AND rules #>> '{work,late_events}' = 'dropped';
                IF correcting = 'rating' THEN
                    SELECT * INTO stands FROM rating_of r WHERE r.task = told.task;
                    CONTINUE WHEN stands.producer <> e.producer OR stands.event_id <> e.corrects;
                    UPDATE rating_of r SET rating = e.rating WHERE r.task = told.task;
                    INSERT INTO rated VALUES (e.position, now_epoch, told.task,
                        (e.rating IS NOT NULL)::int - (stands.rating IS NOT NULL)::int,
                        coalesce(e.rating, 0) - coalesce(stands.rating, 0));
                ELSIF correcting = 'vwu' THEN
                    UPDATE task_slot o SET vwu = e.vwu
                    WHERE o.task = e.task AND o.attempt = e.attempt AND o.slot = e.slot;
                    IF t.credited_epoch IS NOT NULL THEN
                        CALL credit_task(e.position, t, now_epoch, rules #>> '{work,credit}', is_dropped);
                    END IF;
                ELSIF correcting = 'difficulty_ppm' THEN
                    -- All that the difficulty weighs is of this epoch, or still to come.
                    UPDATE task o SET difficulty = e.difficulty WHERE o.task = e.task;
                ELSE
                    IF t.credited_epoch IS NOT NULL AND NOT is_dropped THEN
                        CONTINUE WHEN NOT can_hold(brought, now_epoch, t, e.price - t.price);
                        INSERT INTO sale VALUES (now_epoch, t.domain, t.model, t.asset, 0, e.price - t.price);
                        brought := brought + greatest(e.price - t.price, 0);
                    END IF;
                    UPDATE task o SET price = e.price WHERE o.task = e.task;
                END IF;
            END IF;
            INSERT INTO correction VALUES (e.producer, e.corrects, e.sequence, correcting, CASE correcting
                WHEN 'rating' THEN e.rating WHEN 'vwu' THEN e.vwu WHEN 'price' THEN e.price ELSE e.difficulty END,
                NOT late) ON CONFLICT (producer, corrects, sequence) DO NOTHING;
            CONTINUE;
        END IF;
        CONTINUE WHEN t.task IS NULL;
        IF e.what = 'user.feedback' THEN
            CONTINUE WHEN t.stage NOT IN ('approved', 'credited')
                OR EXISTS (SELECT FROM rating_of r WHERE r.task = e.task AND r.rating IS NOT NULL);
            INSERT INTO rating_of VALUES (e.task, e.rating, e.producer, e.event_id)
            ON CONFLICT (task) DO UPDATE SET rating = e.rating, producer = e.producer, event_id = e.event_id;
            INSERT INTO rating_told (producer, event_id, task, value, epoch)
            VALUES (e.producer, e.event_id, e.task, e.rating, now_epoch);
            INSERT INTO rated VALUES (e.position, now_epoch, e.task, 1, e.rating);
            CONTINUE;
        END IF;
        CONTINUE WHEN t.attempt <> e.attempt;
        SELECT * INTO s FROM task_slot o WHERE o.task = e.task AND o.attempt = e.attempt AND o.slot = e.slot;
        CASE e.what
        WHEN 'task.assigned' THEN
            CONTINUE WHEN t.stage NOT IN ('created', 'assigned') OR e.slot > (rules #>> '{work,slots}')::bigint
                OR EXISTS (SELECT FROM task_slot o WHERE o.task = e.task AND o.attempt = e.attempt
                           AND (o.slot = e.slot OR o.node = e.node))
                OR NOT may_work(e.position, e.node, 1, t.domain);
            INSERT INTO task_slot (task, attempt, slot, node) VALUES (e.task, e.attempt, e.slot, e.node);
            UPDATE task o SET stage = 'assigned' WHERE o.task = e.task;
        WHEN 'output.submitted' THEN
            UPDATE task_slot o SET output_position = e.position
            WHERE t.stage = 'assigned' AND o.task = e.task AND o.attempt = e.attempt AND o.slot = e.slot
                AND o.node = e.node AND o.output_position IS NULL;
        WHEN 'validation.submitted' THEN
            CONTINUE WHEN t.stage <> 'assigned' OR s.output_position IS NULL
                OR NOT may_work(e.position, e.validator, 2, t.domain);
            INSERT INTO validation VALUES (e.task, e.attempt, e.slot, e.validator, e.verdict) ON CONFLICT DO NOTHING;
        WHEN 'badbehaviour.reported' THEN
            CONTINUE WHEN t.stage <> 'assigned' OR s.node IS DISTINCT FROM e.node
                OR NOT EXISTS (SELECT FROM validation o WHERE o.task = e.task AND o.attempt = e.attempt
                    AND o.slot = e.slot AND o.validator = e.validator AND o.verdict = 'incorrect')
                OR EXISTS (SELECT FROM reported o WHERE o.task = e.task AND o.attempt = e.attempt
                    AND o.slot = e.slot AND o.validator = e.validator);
            INSERT INTO reported VALUES (e.task, e.attempt, e.slot, e.validator);
            UPDATE task_slot o SET severity = greatest(o.severity, e.severity)
            WHERE o.task = e.task AND o.attempt = e.attempt AND o.slot = e.slot;
        WHEN 'consensus.reached' THEN
            CONTINUE WHEN t.stage <> 'assigned';
            SELECT count(*) FILTER (WHERE o.output_position IS NOT NULL
                    AND (SELECT count(*) FROM validation a WHERE a.task = o.task AND a.attempt = o.attempt
                         AND a.slot = o.slot) < (rules #>> '{work,quorum}')::bigint),
                coalesce(array_agg(o.slot ORDER BY o.slot) FILTER (WHERE o.output_position IS NOT NULL
                    AND (SELECT count(*) FILTER (WHERE a.verdict = 'correct') * 1000000
                             > (rules #>> '{work,majority_ppm}')::bigint * count(*)
                         FROM validation a WHERE a.task = o.task AND a.attempt = o.attempt AND a.slot = o.slot)), '{}')
            INTO wanting, correct
            FROM task_slot o WHERE o.task = e.task AND o.attempt = e.attempt;
            CONTINUE WHEN wanting > 0 OR e.accepted <> correct
                OR e.verdict <> CASE WHEN cardinality(correct) > 0 THEN 'approved' ELSE 'rejected' END
                OR (SELECT count(*) < (rules #>> '{work,slots}')::bigint OR count(o.output_position) = 0
                    FROM task_slot o WHERE o.task = e.task AND o.attempt = e.attempt);
            UPDATE task_slot o SET verdict = CASE WHEN o.output_position IS NULL THEN 'missing'
                WHEN o.slot = ANY (correct) THEN 'correct' ELSE 'incorrect' END
            WHERE o.task = e.task AND o.attempt = e.attempt;
            FOR s IN
                SELECT * FROM task_slot o WHERE o.task = e.task AND o.attempt = e.attempt ORDER BY o.slot
            LOOP
                CALL learn(e.position, rules -> 'trust', 1, s.node, t.domain, CASE s.verdict WHEN 'correct'
                    THEN 'approved' WHEN 'incorrect' THEN 'rejected' ELSE 'expired' END, 1);
                IF s.verdict = 'incorrect' AND s.severity > 0 THEN
                    CALL learn(e.position, rules -> 'trust', 1, s.node, t.domain, 'reported', s.severity);
                END IF;
                INSERT INTO judged VALUES (e.position, now_epoch, e.task, e.attempt, s.slot, NULL,
                    CASE s.verdict WHEN 'correct' THEN true WHEN 'incorrect' THEN false END);
                FOR v IN
                    UPDATE validation o SET in_consensus = o.verdict = s.verdict
                    WHERE o.task = e.task AND o.attempt = e.attempt AND o.slot = s.slot RETURNING o.*
                LOOP
                    INSERT INTO judged VALUES (e.position, now_epoch, e.task, e.attempt, s.slot, v.validator,
                        v.in_consensus);
                    CALL learn(e.position, rules -> 'trust', 2, v.validator, t.domain,
                        CASE WHEN v.in_consensus THEN 'in_line' ELSE 'out_of_line' END, 1);
                END LOOP;
            END LOOP;
            UPDATE task o SET stage = CASE WHEN cardinality(correct) > 0 THEN 'approved' ELSE 'failed' END,
                judged_epoch = coalesce(t.judged_epoch, now_epoch)
            WHERE o.task = e.task;
        WHEN 'vwu.assigned' THEN
            CONTINUE WHEN t.stage <> 'approved' OR s.node IS DISTINCT FROM e.node
                OR s.verdict IS DISTINCT FROM 'correct' OR s.vwu IS NOT NULL OR e.difficulty <> t.difficulty;
            wanting := (SELECT count(*) FROM task_slot o WHERE o.task = e.task AND o.attempt = e.attempt
                AND o.verdict = 'correct' AND o.vwu IS NULL AND o.slot <> e.slot);
            late := now_epoch > t.epoch AND rules #>> '{work,late_events}' = 'dropped';
            CONTINUE WHEN wanting = 0 AND NOT late AND NOT can_hold(brought, now_epoch, t, t.price);
            UPDATE task_slot o SET vwu = e.vwu, vwu_producer = e.producer, vwu_event = e.event_id
            WHERE o.task = e.task AND o.attempt = e.attempt AND o.slot = e.slot;
            CONTINUE WHEN wanting > 0;
            CALL credit_task(e.position, t, now_epoch, rules #>> '{work,credit}', late);
            UPDATE task o SET stage = 'credited', credited_epoch = now_epoch WHERE o.task = e.task;
            IF NOT late THEN
                INSERT INTO sale VALUES (now_epoch, t.domain, t.model, t.asset, 1, t.price);
                brought := brought + t.price;
            END IF;
        WHEN 'task.reassigned' THEN
            CONTINUE WHEN t.stage NOT IN ('assigned', 'failed') OR e.next_attempt <> e.attempt + 1 OR e.next_attempt > 3;
            IF t.stage = 'assigned' THEN
                CALL blame_the_silent(e.position, t, rules -> 'trust');
            END IF;
            UPDATE task o SET stage = 'created', attempt = e.next_attempt WHERE o.task = e.task;
        WHEN 'task.rejected' THEN
            UPDATE task o SET stage = 'rejected' WHERE o.task = e.task AND o.stage = 'failed';
        WHEN 'task.expired' THEN
            CONTINUE WHEN t.stage NOT IN ('created', 'assigned');
            CALL blame_the_silent(e.position, t, rules -> 'trust');
            UPDATE task o SET stage = 'expired' WHERE o.task = e.task;
        ELSE
            NULL;
        END CASE;
    END LOOP;
END $$;

CREATE UNLOGGED TABLE sales AS
SELECT epoch, domain, model, asset, sum(tasks) AS tasks, sum(amount) AS amount FROM sale
GROUP BY epoch, domain, model, asset;
