-- Collateral: what stands behind a node's work is free or, while a review is open, frozen.
--
-- A case is flagged, its review opened (so much is frozen), and decided: what was frozen is burned, paid as
-- compensation, returned, or kept as free collateral, to the unit. A decided case may be appealed, and reversed: then a
-- new case is open with nothing frozen. Each step has an effect behind the one before it alone; an id is taken once
-- within its contract. Amounts and sums stay below 10**38.
-- Sources: seeds/000 section 2 step 0 and section 3.

CREATE UNLOGGED TABLE collateral (node bytea PRIMARY KEY, free numeric NOT NULL, frozen numeric NOT NULL);
CREATE UNLOGGED TABLE collateral_case (
    case_id bytea, contract bytea, node bytea, task bytea, severity bigint, stage text, frozen numeric DEFAULT 0,
    burned numeric DEFAULT 0, compensated numeric DEFAULT 0, returned numeric DEFAULT 0, retained numeric DEFAULT 0,
    verdict bigint, flagged_position bigint, decided_position bigint, PRIMARY KEY (case_id, contract)
);

-- Add to a node's collateral; false, and nothing changes, where it would leave the books' range.
CREATE FUNCTION change_collateral(of_node bytea, more_free numeric, more_frozen numeric) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO collateral VALUES (of_node, 0, 0) ON CONFLICT DO NOTHING;
    UPDATE collateral SET free = free + more_free, frozen = frozen + more_frozen
    WHERE node = of_node AND abs(free + more_free) < 10::numeric ^ 38 AND abs(frozen + more_frozen) < 10::numeric ^ 38;
    IF FOUND THEN
        RETURN true;
    END IF;
    DELETE FROM collateral WHERE node = of_node AND free = 0 AND frozen = 0;
    RETURN false;
END $$;

DO $$
DECLARE
    e record;
    known collateral_case;
BEGIN
    FOR e IN
        SELECT position, contract, contract_name, contract_asset, 'in' AS what, node AS id, NULL::bytea AS node,
            amount, NULL::numeric[] AS parts, NULL::bytea AS task, NULL::numeric AS rank FROM deposited
        UNION ALL SELECT position, contract, contract_name, contract_asset, 'out', node, NULL, amount, NULL, NULL, NULL
            FROM withdrawn
        UNION ALL SELECT position, contract, contract_name, contract_asset, 'flagged', case_id, node, NULL, NULL, task,
            severity FROM flagged
        UNION ALL SELECT position, contract, contract_name, contract_asset, 'opened', case_id, NULL, frozen, NULL, NULL,
            NULL FROM review_opened
        UNION ALL SELECT position, contract, contract_name, contract_asset, 'decided', case_id, NULL, NULL,
            ARRAY[burned, compensated, returned, retained], NULL, verdict FROM review_decided
        UNION ALL SELECT position, contract, contract_name, contract_asset, 'appealed', case_id, NULL, NULL, NULL, NULL,
            NULL FROM appealed
        UNION ALL SELECT position, contract, contract_name, contract_asset, 'reversed', case_id, new_case_id, NULL,
            NULL, NULL, NULL FROM review_reversed
        ORDER BY position
    LOOP
        CONTINUE WHEN e.contract_asset IS NULL AND e.what IN ('in', 'out', 'opened', 'decided');
        CONTINUE WHEN e.amount >= 10::numeric ^ 38;
        IF e.what IN ('in', 'out') THEN
            CONTINUE WHEN NOT change_collateral(e.id, CASE e.what WHEN 'in' THEN e.amount ELSE -e.amount END, 0);
            CALL move(e.position, e.contract_name, e.contract, e.contract_asset, 'Unattributed', '\x', 'Free', e.id,
                CASE e.what WHEN 'in' THEN e.amount ELSE -e.amount END);
            CONTINUE;
        END IF;
        SELECT * INTO known FROM collateral_case c WHERE c.case_id = e.id AND c.contract = e.contract;
        IF e.what = 'flagged' THEN
            INSERT INTO collateral_case (case_id, contract, node, task, severity, stage, flagged_position)
            VALUES (e.id, e.contract, e.node, e.task, e.rank, 'flagged', e.position) ON CONFLICT DO NOTHING;
        ELSIF e.what = 'opened' AND known.stage = 'flagged' THEN
            CONTINUE WHEN NOT change_collateral(known.node, -e.amount, e.amount);
            CALL move(e.position, e.contract_name, e.contract, e.contract_asset, 'Free', known.node, 'Frozen', e.id,
                e.amount);
            UPDATE collateral_case c SET stage = 'open', frozen = e.amount
            WHERE c.case_id = e.id AND c.contract = e.contract;
        ELSIF e.what = 'decided' AND known.stage = 'open' THEN
            CONTINUE WHEN (SELECT sum(part) FROM unnest(e.parts) AS part) <> known.frozen;
            CONTINUE WHEN NOT change_collateral(known.node, e.parts[4], -known.frozen);
            CALL move(e.position, e.contract_name, e.contract, e.contract_asset, 'Frozen', e.id, 'Unattributed', '\x',
                known.frozen - e.parts[4]);
            CALL move(e.position, e.contract_name, e.contract, e.contract_asset, 'Frozen', e.id, 'Free', known.node,
                e.parts[4]);
            UPDATE collateral_case c SET stage = 'decided', burned = e.parts[1], compensated = e.parts[2],
                returned = e.parts[3], retained = e.parts[4], verdict = e.rank, decided_position = e.position
            WHERE c.case_id = e.id AND c.contract = e.contract;
        ELSIF e.what = 'appealed' AND known.stage = 'decided' THEN
            UPDATE collateral_case c SET stage = 'appealed' WHERE c.case_id = e.id AND c.contract = e.contract;
        ELSIF e.what = 'reversed' AND known.stage = 'appealed' THEN
            CONTINUE WHEN EXISTS (SELECT FROM collateral_case c WHERE c.case_id = e.node AND c.contract = e.contract);
            UPDATE collateral_case c SET stage = 'reversed' WHERE c.case_id = e.id AND c.contract = e.contract;
            INSERT INTO collateral_case (case_id, contract, node, task, severity, stage, flagged_position)
            VALUES (e.node, e.contract, known.node, known.task, known.severity, 'open', e.position);
        END IF;
    END LOOP;
END $$;
