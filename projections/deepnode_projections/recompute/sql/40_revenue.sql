-- Revenue: every payment for a model, from its receipt to nine legs, to the unit.
--
-- A receipt's id is taken once within its contract; it waits in escrow until it is split or refunded, once. A split of
-- what no receipt tells of is booked all the same. The rates are the model's (b creator, a backers), the newest route's
-- (fees y, buyback, foundation, domain, variable burn d, yield c) and the ruleset's; the emission's z is what is left.
-- Less than a unit of a leg is carried to the next payment of the same model, asset and version of the route: all that a
-- leg was ever paid is the floor of its rate of all that was ever split. So each leg here is the difference of two such
-- floors, by window functions, and no carry is ever stepped.
-- Sources: seeds/001 section 1; seeds/004 step 3; DESIGN section 6 ("Revenue split"); docs/rulesets.md (revenue).

CREATE UNLOGGED TABLE receipt (
    receipt bytea, contract bytea, model bytea, asset bytea, amount numeric, stage text, PRIMARY KEY (receipt, contract)
);
CREATE UNLOGGED TABLE split (
    position bigint PRIMARY KEY, receipt bytea, model bytea, domain bytea, asset bytea, gross numeric, legs numeric[],
    ruleset bytea, paid numeric
);
-- Running sums: a row is added for each split, and none is changed. Of a row that is changed thousands of times in one
-- transaction each version is read again.
CREATE UNLOGGED TABLE split_sum (
    model bytea, asset bytea, position bigint, gross numeric, legs numeric[], PRIMARY KEY (model, asset, position)
);
CREATE UNLOGGED TABLE epoch_sum (
    epoch bigint, domain bytea, asset bytea, position bigint, gross numeric,
    PRIMARY KEY (epoch, domain, asset, position)
);
CREATE UNLOGGED TABLE released_total (
    leg text, beneficiary bytea, asset bytea, amount numeric, PRIMARY KEY (leg, beneficiary, asset)
);

CREATE FUNCTION leg_names() RETURNS text[] LANGUAGE sql IMMUTABLE RETURN
    '{creator,backers,fees,buyback,foundation,domain,variableBurn,yield,emission}'::text[];

-- What a leg's pocket is kept for: a model, a domain, or nothing where it is the whole network's.
CREATE FUNCTION leg_key(leg text, of_model bytea, of_domain bytea) RETURNS bytea LANGUAGE sql IMMUTABLE RETURN
    CASE WHEN leg IN ('creator', 'backers', 'yield') THEN of_model
         WHEN leg IN ('buyback', 'foundation') THEN '\x' ELSE of_domain END;

DO $$
DECLARE
    e record;
    known receipt;
    m model;
    total split_sum;
    earned numeric;
    rest numeric;
    of_leg text;
    n int;
    limit_units CONSTANT numeric := 10::numeric ^ 38;
BEGIN
    FOR e IN
        SELECT position, chain_id, block_number, log_index, contract, contract_name, 'received' AS what, receipt AS id,
            model AS who, asset, amount, NULL::numeric[] AS legs, NULL::bytea AS ruleset FROM revenue_received
        UNION ALL SELECT position, chain_id, block_number, log_index, contract, contract_name, 'refunded', receipt, NULL,
            NULL, amount, NULL, NULL FROM revenue_refunded
        UNION ALL SELECT position, chain_id, block_number, log_index, contract, contract_name, 'split', receipt, model,
            asset, gross,
            ARRAY[creator, backers, fees, buyback, foundation, domain_leg, variable_burn, yield_, emission], ruleset
            FROM revenue_split
        UNION ALL SELECT position, chain_id, block_number, log_index, contract, contract_name, 'released', NULL,
            beneficiary, asset, amount, ARRAY[released.leg], NULL FROM released
        ORDER BY position
    LOOP
        CONTINUE WHEN e.amount >= limit_units;
        CONTINUE WHEN e.what <> 'refunded'
            AND NOT is_token(e.chain_id, e.asset, e.block_number, e.log_index, e.position);
        SELECT * INTO known FROM receipt r WHERE r.receipt = e.id AND r.contract = e.contract;
        IF e.what = 'received' AND known.receipt IS NULL THEN
            INSERT INTO receipt VALUES (e.id, e.contract, e.who, e.asset, e.amount, 'received');
            CALL move(e.position, e.contract_name, e.contract, e.asset, 'Unattributed', '\x', 'Escrow', e.who, e.amount);
        ELSIF e.what = 'refunded' AND known.stage = 'received' THEN
            UPDATE receipt r SET stage = 'refunded' WHERE r.receipt = e.id AND r.contract = e.contract;
            CALL move(e.position, e.contract_name, e.contract, known.asset, 'Escrow', known.model, 'Unattributed', '\x',
                e.amount);
        ELSIF e.what = 'split' THEN
            SELECT * INTO m FROM model o WHERE o.model = e.who AND o.position < e.position;
            rest := e.amount - (SELECT sum(part) FROM unnest(e.legs) AS part);
            CONTINUE WHEN m.model IS NULL OR known.stage <> 'received' OR limit_units <= ANY (e.legs)
                OR abs(rest) >= limit_units;
            SELECT * INTO total FROM split_sum t WHERE t.model = e.who AND t.asset = e.asset
            ORDER BY t.position DESC LIMIT 1;
            total.gross := coalesce(total.gross, 0) + e.amount;
            total.legs := (SELECT array_agg(part + coalesce(total.legs[o], 0) ORDER BY o)
                           FROM unnest(e.legs) WITH ORDINALITY AS each(part, o));
            CONTINUE WHEN total.gross >= limit_units OR limit_units <= ANY (total.legs);
            -- What waits is judged where a route is known, and refused there if it cannot be written down.
            CONTINUE WHEN abs(total.gross - (SELECT sum(part) FROM unnest(total.legs) AS part)) >= limit_units
                AND EXISTS (SELECT FROM route o WHERE o.domain = m.domain AND o.asset = e.asset
                            AND o.position < e.position);
            SELECT g.gross INTO earned FROM epoch_sum g WHERE g.epoch = epoch_at(e.position) AND g.domain = m.domain
            AND g.asset = e.asset ORDER BY g.position DESC LIMIT 1;
            earned := e.amount + coalesce(earned, 0);
            CONTINUE WHEN earned >= limit_units;
            INSERT INTO epoch_sum VALUES (epoch_at(e.position), m.domain, e.asset, e.position, earned);
            INSERT INTO split_sum VALUES (e.who, e.asset, e.position, total.gross, total.legs);
            INSERT INTO split VALUES (e.position, e.id, e.who, m.domain, e.asset, e.amount, e.legs, e.ruleset,
                known.amount);
            UPDATE receipt r SET stage = 'settled' WHERE r.receipt = e.id AND r.contract = e.contract;
            FOR n IN 1..9 LOOP
                of_leg := (leg_names())[n];
                CALL move(e.position, e.contract_name, e.contract, e.asset, 'Escrow', e.who,
                    upper(left(of_leg, 1)) || substr(of_leg, 2), leg_key(of_leg, e.who, m.domain), e.legs[n]);
            END LOOP;
            CALL move(e.position, e.contract_name, e.contract, e.asset, 'Escrow', e.who, 'Suspense', e.who, rest);
        ELSIF e.what = 'released' AND e.legs[1] < 9 THEN
            of_leg := (leg_names())[e.legs[1]::int + 1];
            CONTINUE WHEN e.amount + coalesce((SELECT t.amount FROM released_total t WHERE t.leg = of_leg
                AND t.beneficiary = e.who AND t.asset = e.asset), 0) >= limit_units;
            INSERT INTO released_total AS t VALUES (of_leg, e.who, e.asset, e.amount)
            ON CONFLICT ON CONSTRAINT released_total_pkey DO UPDATE SET amount = t.amount + e.amount;
            CALL move(e.position, e.contract_name, e.contract, e.asset, upper(left(of_leg, 1)) || substr(of_leg, 2),
                leg_key(of_leg, e.who, e.who), 'Unattributed', '\x', e.amount);
        END IF;
    END LOOP;
END $$;

CREATE UNLOGGED TABLE split_total AS
SELECT DISTINCT ON (model, asset) model, asset, gross, legs FROM split_sum ORDER BY model, asset, position DESC;

-- The nine rates, or NULL where model, route and ruleset do not go together.
CREATE FUNCTION nine_rates(rules jsonb, a numeric, b numeric, route numeric[]) RETURNS numeric[]
LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE
    net numeric := greatest(0, 1000000 - route[1] - route[2] - route[3]);
    rates numeric[];
    rest numeric;
BEGIN
    IF 1000000 < ANY (route || a || b) OR route[2] <> (rules ->> 'buyback_ppm')::numeric
            OR route[3] <> (rules ->> 'foundation_ppm')::numeric THEN
        RETURN NULL;
    END IF;
    IF rules ->> 'model_share_of' = 'net' THEN
        a := div(a * net, 1000000);
        b := div(b * net, 1000000);
    END IF;
    IF rules ->> 'yield_from' = 'backers' THEN
        a := a - route[6];
    END IF;
    rates := ARRAY[b, a, route[1], route[2], route[3], route[4],
        CASE WHEN rules ->> 'variable_burn_on' = 'registration_fee' THEN 0 ELSE route[5] END, route[6]];
    rest := 1000000 - (SELECT sum(rate) FROM unnest(rates) AS rate);
    RETURN CASE WHEN a >= 0 AND rest >= 0 THEN rates || rest END;
END $$;

CREATE UNLOGGED TABLE expected_split AS
WITH ruled AS (
    SELECT s.*, r.version, h.hash AS in_force, coalesce(known.rules, fallback.rules) -> 'revenue' AS rules,
        nine_rates(coalesce(known.rules, fallback.rules) -> 'revenue', m.a, m.b, r.rates) AS rates
    FROM split s JOIN model m USING (model)
    LEFT JOIN LATERAL (
        SELECT o.version, o.rates FROM route o
        WHERE o.domain = s.domain AND o.asset = s.asset AND o.position < s.position ORDER BY o.position DESC LIMIT 1
    ) AS r ON true
    CROSS JOIN LATERAL (SELECT ruleset_hash_at(s.position, epoch_at(s.position)) AS hash) AS h
    LEFT JOIN ruleset_hash named ON named.hash = h.hash LEFT JOIN ruleset known ON known.name = named.name
    -- Where a hash is in force that nobody here knows, nothing is expected.
    LEFT JOIN ruleset fallback ON fallback.name = 'default' AND h.hash IS NULL
), parts AS (
    SELECT u.position, u.receipt, u.model, u.version, u.asset, u.gross, u.rules ->> 'rounding' AS rounding, leg.n,
        u.legs[leg.n] AS fact, leg.rate,
        CASE WHEN u.rules ->> 'rounding' = 'carry_forward' THEN u.gross * leg.rate ELSE 0 END AS carried
    FROM ruled u CROSS JOIN unnest(coalesce(u.rates, array_fill(NULL::numeric, ARRAY[9]))) WITH ORDINALITY AS leg(rate, n)
), summed AS (
    SELECT *, sum(carried) OVER (PARTITION BY model, version, asset, n ORDER BY position) AS behind,
        row_number() OVER (PARTITION BY position ORDER BY gross * rate % 1000000 DESC, n) AS rank,
        gross - sum(div(gross * rate, 1000000)) OVER (PARTITION BY position) AS left_over
    FROM parts
)
SELECT position, receipt, model, version, asset, n, rate, fact,
    CASE rounding WHEN 'carry_forward' THEN div(behind, 1000000) - div(behind - carried, 1000000)
        WHEN 'largest_remainder' THEN div(gross * rate, 1000000) + (rank <= left_over)::int
        WHEN 'floor' THEN div(gross * rate, 1000000) + CASE n WHEN 9 THEN left_over ELSE 0 END END AS expected,
    behind % 1000000 AS carry
FROM summed;

-- What is less than a unit of each leg, behind the newest payment for which something was expected.
CREATE UNLOGGED TABLE carry AS
SELECT DISTINCT ON (model, version, asset, n) model, version, asset, n, carry FROM expected_split
WHERE rate IS NOT NULL ORDER BY model, version, asset, n, position DESC;
