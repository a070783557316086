-- Statements: what producers' task events say, where the payload is a CloudEvent in the form of docs/task-events.md.
--
-- A payload that is no JSON, that says another id, source, sequence or type than the log has it under, or whose data
-- lacks a member or has one in another form, is left out: it has no effect. Members that nobody asks for mean nothing.
-- Source: docs/task-events.md.

CREATE UNLOGGED TABLE statement AS
WITH told AS MATERIALIZED (
    SELECT l.position, l.chain_id, l.producer, l.event_id, l.sequence, l.event_type, json_of(l.data) AS event
    FROM log l WHERE l.kind = 2
), signed AS (
    SELECT t.position, t.chain_id, t.producer, t.event_id, t.sequence,
        substring(t.event_type FROM '^ai\.deepnode\.(.*)\.v1$') AS what,
        CASE WHEN json_typeof(s.data) = 'object' THEN s.data END AS data
    FROM told t CROSS JOIN LATERAL json_to_record(CASE WHEN json_typeof(t.event) = 'object' THEN t.event END)
        AS s(id json, source json, type json, sequence json, time json, data json)
    WHERE text_of(s.id, '') = t.event_id AND text_of(s.source, '') = t.producer AND text_of(s.type, '') = t.event_type
        AND text_of(s.sequence, '') = t.sequence::text AND text_of(s.time, '^[!-~]{1,64}$') IS NOT NULL
), read AS (
    SELECT s.position, s.chain_id, s.producer, s.event_id, s.sequence, s.what,
        hex_of(d.task, 32) AS task, hex_of(d.domain, 32) AS domain, hex_of(d.model, 32) AS model,
        whole_of(d.version, 0, 4294967295) AS version, hex_of(d.consumer_hash, 32) AS consumer_hash,
        decimal_of(d.price, 0) AS price, hex_of(d.asset, 20) AS asset,
        whole_of(d.difficulty_ppm, 1, 10000000) AS difficulty, hex_of(d.input_hash, 32) AS input_hash,
        whole_of(d.attempt, 1, 2147483647) AS attempt, whole_of(d.slot, 1, 64) AS slot,
        hex_of(d.node, 32) AS node, whole_of(d.trust_ppm, 0, 1000000) AS trust_ppm,
        decimal_of(d.collateral, 0) AS collateral, hex_of(d.output_hash, 32) AS output_hash,
        hex_of(d.validator, 32) AS validator, text_of(d.verdict, '') AS verdict,
        whole_of(d.score, 0, 100) AS score, hex_of(d.report_hash, 32) AS report_hash, slots_of(d.accepted) AS accepted,
        whole_of(d.vwu, 1, 1000000000000) AS vwu, whole_of(d.next_attempt, 1, 2147483647) AS next_attempt,
        whole_of(d.severity, 1, 3) AS severity, hex_of(d.evidence_hash, 32) AS evidence_hash,
        whole_of(d.rating, 1, 5) AS rating, decimal_of(d.price_ppm, 1) AS price_ppm, decimal_of(d.amount, 0) AS amount,
        text_of(d.corrects, '^[!-~]+$') AS corrects, text_of(d.reason, E'^[^\\x01-\\x1f\\x7f]+$') AS reason,
        -- What may be left out, and is not, has its form too.
        (is_left_out(d.block_hash) OR hex_of(d.block_hash, 32) IS NOT NULL)
            AND (is_left_out(d.comment_hash) OR hex_of(d.comment_hash, 32) IS NOT NULL) AS hashes_are_good,
        (is_left_out(d.rating) OR whole_of(d.rating, 1, 5) IS NOT NULL)
            AND (is_left_out(d.price_ppm) OR decimal_of(d.price_ppm, 1) IS NOT NULL)
            AND (is_left_out(d.amount) OR decimal_of(d.amount, 0) IS NOT NULL)
            AND (is_left_out(d.vwu) OR whole_of(d.vwu, 1, 1000000000000) IS NOT NULL)
            AND (is_left_out(d.difficulty_ppm) OR whole_of(d.difficulty_ppm, 1, 10000000) IS NOT NULL)
            AND (is_left_out(d.price) OR decimal_of(d.price, 0) IS NOT NULL)
            AND (is_left_out(d.task) OR hex_of(d.task, 32) IS NOT NULL)
            AND (is_left_out(d.attempt) OR whole_of(d.attempt, 1, 2147483647) IS NOT NULL)
            AND (is_left_out(d.slot) OR whole_of(d.slot, 1, 64) IS NOT NULL) AS right_is_good,
        is_count(d.latency_ms) AND (is_left_out(d.usage) OR json_typeof(d.usage) = 'object'
            AND is_count(d.usage -> 'input_tokens') AND is_count(d.usage -> 'output_tokens')) AS counts_are_good
    FROM signed s CROSS JOIN LATERAL json_to_record(s.data)
        AS d(
            accepted json, amount json, asset json, attempt json, block_hash json, collateral json,
            comment_hash json, consumer_hash json, corrects json, difficulty_ppm json, domain json,
            evidence_hash json, input_hash json, latency_ms json, model json, next_attempt json, node json,
            output_hash json, price json, price_ppm json, rating json, reason json, report_hash json,
            score json, severity json, slot json, task json, trust_ppm json, usage json, validator json,
            verdict json, version json, vwu json
        )
)
SELECT * FROM read WHERE CASE what
    WHEN 'task.created' THEN
        num_nulls(task, domain, model, version, consumer_hash, price, asset, difficulty, input_hash) = 0
    WHEN 'task.assigned' THEN num_nulls(task, attempt, slot, node, trust_ppm, collateral) = 0 AND hashes_are_good
    WHEN 'output.submitted' THEN num_nulls(task, attempt, slot, node, output_hash) = 0 AND counts_are_good
    WHEN 'validation.submitted' THEN
        num_nulls(task, attempt, slot, validator, score, report_hash) = 0 AND verdict IN ('correct', 'incorrect')
    WHEN 'consensus.reached' THEN num_nulls(task, attempt, accepted) = 0 AND verdict IN ('approved', 'rejected')
    WHEN 'vwu.assigned' THEN num_nulls(task, attempt, slot, node, vwu, difficulty) = 0
    WHEN 'task.reassigned' THEN num_nulls(task, attempt, next_attempt) = 0
    WHEN 'task.rejected' THEN num_nulls(task, attempt) = 0
    WHEN 'task.expired' THEN num_nulls(task, attempt) = 0
    WHEN 'badbehaviour.reported' THEN num_nulls(task, attempt, slot, node, validator, severity, evidence_hash) = 0
    WHEN 'user.feedback' THEN num_nulls(task, rating) = 0 AND hashes_are_good
    WHEN 'correction' THEN num_nulls(corrects, reason) = 0 AND length(corrects) <= 256 AND length(reason) <= 256
        AND right_is_good
    ELSE false END;
