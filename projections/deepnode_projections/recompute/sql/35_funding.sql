-- Funding: rounds in which backers pay for a model's development, and their shares.
--
-- A round takes money up to its target and its deadline. It is funded once it has the target, failed if it missed it by
-- the deadline (as of the last event that changed its amounts), and closed when all was released. Nothing is released
-- before it is funded, nothing is refunded behind a release, and nothing leaves but what is idle: neither lent nor paid
-- out. A refund takes shares by its part of what was paid in; vault shares come back at their average cost. At an
-- epoch's start each backer's shares in all rounds of a model that have reached their target are counted.
-- Sources: seeds/004 steps 1 and 3; docs/devnet.md (oracle, 7).

CREATE UNLOGGED TABLE round (
    round bytea, contract bytea, model bytea, target numeric, deadline numeric, stage text, raised numeric DEFAULT 0,
    released numeric DEFAULT 0, refunded numeric DEFAULT 0, in_vault numeric DEFAULT 0, yield_earned numeric DEFAULT 0,
    PRIMARY KEY (round, contract)
);
CREATE UNLOGGED TABLE backer_share (
    round bytea, contract bytea, backer bytea, shares numeric, contributed numeric, PRIMARY KEY (round, contract, backer)
);
CREATE UNLOGGED TABLE vault_position (
    round bytea, contract bytea, vault bytea, shares numeric, assets numeric, PRIMARY KEY (round, contract, vault)
);
CREATE UNLOGGED TABLE backer_at (epoch bigint, model bytea, backer bytea, shares numeric, PRIMARY KEY (epoch, model, backer));

CREATE FUNCTION change_share(r round, of_backer bytea, more numeric, paid numeric) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO backer_share AS s VALUES (r.round, r.contract, of_backer, more, paid)
    ON CONFLICT (round, contract, backer) DO UPDATE
    SET shares = s.shares + more, contributed = s.contributed + paid;
    IF EXISTS (SELECT FROM backer_share s WHERE s.round = r.round AND s.contract = r.contract AND s.backer = of_backer
               AND greatest(s.shares, s.contributed) >= 10::numeric ^ 38) THEN
        RAISE EXCEPTION USING ERRCODE = 'triggered_action_exception';
    END IF;
END $$;

DO $$
DECLARE
    e record;
    r round;
    part backer_share;
    lent vault_position;
    idle numeric;
    cost numeric;
    limit_units CONSTANT numeric := 10::numeric ^ 38;
BEGIN
    FOR e IN
        SELECT position, block_time, contract, contract_name, contract_asset, 'opened' AS what, round AS id, model AS who,
            target AS amount, deadline AS shares, NULL::bytea AS other FROM round_opened
        UNION ALL SELECT position, block_time, contract, contract_name, contract_asset, 'backed', round, backer, amount,
            shares, NULL FROM backed
        UNION ALL SELECT position, block_time, contract, contract_name, contract_asset, 'released', round, creator,
            amount, 0, NULL FROM funds_released
        UNION ALL SELECT position, block_time, contract, contract_name, contract_asset, 'refunded', round, backer,
            amount, 0, NULL FROM refunded
        UNION ALL SELECT position, block_time, contract, contract_name, contract_asset, 'lent', round, vault, assets,
            shares, NULL FROM yield_deposited
        UNION ALL SELECT position, block_time, contract, contract_name, contract_asset, 'back', round, vault, assets,
            shares, NULL FROM yield_withdrawn
        UNION ALL SELECT position, block_time, contract, contract_name, contract_asset, 'handed', round, giver, 0,
            shares, taker FROM backer_share_transferred
        UNION ALL SELECT opened_position, epoch, NULL, NULL, NULL, 'epoch', NULL, NULL, 0, 0, NULL FROM epoch
        ORDER BY position
    LOOP
        IF e.what = 'epoch' THEN
            INSERT INTO backer_at
            SELECT e.block_time, o.model, s.backer, sum(s.shares) FROM round o JOIN backer_share s USING (round, contract)
            WHERE o.stage IN ('funded', 'closed') GROUP BY o.model, s.backer HAVING sum(s.shares) > 0;
            CONTINUE;
        END IF;
        SELECT * INTO r FROM round o WHERE o.round = e.id AND o.contract = e.contract;
        IF e.what = 'opened' THEN
            IF r.round IS NULL AND e.amount < limit_units AND e.shares < limit_units THEN
                INSERT INTO round (round, contract, model, target, deadline, stage)
                VALUES (e.id, e.contract, e.who, e.amount, e.shares, 'open');
            END IF;
            CONTINUE;
        END IF;
        CONTINUE WHEN r.round IS NULL OR e.amount >= limit_units;
        CONTINUE WHEN e.contract_asset IS NULL AND e.what <> 'handed';
        idle := r.raised + r.yield_earned - r.released - r.refunded - r.in_vault;
        SELECT * INTO part FROM backer_share s WHERE s.round = e.id AND s.contract = e.contract AND s.backer = e.who;
        SELECT * INTO lent FROM vault_position v WHERE v.round = e.id AND v.contract = e.contract AND v.vault = e.who;
        BEGIN
            IF e.what = 'backed' THEN
                CONTINUE WHEN e.block_time > r.deadline OR e.amount > r.target - (r.raised - r.refunded)
                    OR e.shares >= limit_units OR r.raised + e.amount >= limit_units;
                PERFORM change_share(r, e.who, e.shares, e.amount);
                r.raised := r.raised + e.amount;
                CALL move(e.position, e.contract_name, e.contract, e.contract_asset, 'Unattributed', '\x', 'Round', e.id,
                    e.amount);
            ELSIF e.what = 'released' THEN
                CONTINUE WHEN r.stage NOT IN ('funded', 'closed') OR e.amount > idle;
                r.released := r.released + e.amount;
                CALL move(e.position, e.contract_name, e.contract, e.contract_asset, 'Round', e.id, 'Unattributed', '\x',
                    e.amount);
            ELSIF e.what = 'refunded' THEN
                CONTINUE WHEN r.released <> 0 OR e.amount > idle OR e.amount > coalesce(part.contributed, 0);
                PERFORM change_share(r, e.who,
                    CASE WHEN e.amount > 0 THEN -div(part.shares * e.amount, part.contributed) ELSE 0 END, -e.amount);
                r.refunded := r.refunded + e.amount;
                CALL move(e.position, e.contract_name, e.contract, e.contract_asset, 'Round', e.id, 'Unattributed', '\x',
                    e.amount);
            ELSIF e.what = 'lent' THEN
                CONTINUE WHEN e.amount > idle OR e.shares = 0 OR e.shares >= limit_units
                    OR coalesce(lent.shares, 0) + e.shares >= limit_units
                    OR coalesce(lent.assets, 0) + e.amount >= limit_units OR r.in_vault + e.amount >= limit_units;
                INSERT INTO vault_position AS v VALUES (e.id, e.contract, e.who, e.shares, e.amount)
                ON CONFLICT (round, contract, vault) DO UPDATE
                SET shares = v.shares + e.shares, assets = v.assets + e.amount;
                r.in_vault := r.in_vault + e.amount;
                CALL move(e.position, e.contract_name, e.contract, e.contract_asset, 'Round', e.id, 'Unattributed', '\x',
                    e.amount);
            ELSIF e.what = 'back' THEN
                CONTINUE WHEN e.shares = 0 OR e.shares > coalesce(lent.shares, 0);
                cost := div(lent.assets * e.shares, lent.shares);
                CONTINUE WHEN abs(r.yield_earned + e.amount - cost) >= limit_units;
                UPDATE vault_position v SET shares = v.shares - e.shares, assets = v.assets - cost
                WHERE v.round = e.id AND v.contract = e.contract AND v.vault = e.who;
                r.in_vault := r.in_vault - cost;
                r.yield_earned := r.yield_earned + e.amount - cost;
                CALL move(e.position, e.contract_name, e.contract, e.contract_asset, 'Unattributed', '\x', 'Round', e.id,
                    e.amount);
            ELSE
                CONTINUE WHEN e.shares > coalesce(part.shares, 0);
                cost := CASE WHEN e.shares > 0 THEN div(part.contributed * e.shares, part.shares) ELSE 0 END;
                PERFORM change_share(r, e.who, -e.shares, -cost);
                PERFORM change_share(r, e.other, e.shares, cost);
                CONTINUE;
            END IF;
        EXCEPTION WHEN triggered_action_exception THEN
            CONTINUE;
        END;
        idle := r.raised + r.yield_earned - r.released - r.refunded - r.in_vault;
        UPDATE round o SET raised = r.raised, released = r.released, refunded = r.refunded, in_vault = r.in_vault,
            yield_earned = r.yield_earned, stage = CASE
                WHEN r.released <> 0 THEN CASE WHEN idle <> 0 OR r.in_vault <> 0 THEN 'funded' ELSE 'closed' END
                WHEN r.raised - r.refunded >= r.target THEN 'funded'
                WHEN e.block_time > r.deadline THEN 'failed' ELSE 'open' END
        WHERE o.round = e.id AND o.contract = e.contract;
    END LOOP;
END $$;
