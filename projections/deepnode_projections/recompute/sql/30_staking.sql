-- Staking: DN upon validators (1), miners (2), models (3) and domains (4); what is asked back unbonds, and then leaves.
--
-- Nobody can take more stake or shares than are there, or be paid more than unbonds. A change counts from the start of
-- the next epoch on. A commission is at most the whole; of those whose epoch has come the one announced last holds.
-- Sources: seeds/002 section 3; DESIGN section 6; docs/devnet.md (oracle, 3 and 7).

CREATE UNLOGGED TABLE stake (
    target_type bigint, target bytea, staker bytea, amount numeric, shares numeric,
    PRIMARY KEY (target_type, target, staker)
);
CREATE UNLOGGED TABLE stake_change (target_type bigint, target bytea, staker bytea, epoch bigint, amount numeric);
CREATE UNLOGGED TABLE stake_total (
    target_type bigint, target bytea, amount numeric, shares numeric, PRIMARY KEY (target_type, target)
);
CREATE UNLOGGED TABLE unbonding (
    staker bytea, target_type bigint, target bytea, amount numeric, PRIMARY KEY (staker, target_type, target)
);
CREATE UNLOGGED TABLE voting_power (staker bytea PRIMARY KEY, amount numeric);

-- Whether a stake can change so; then it does, and so do the target's total and the epochs to come.
CREATE FUNCTION change_stake(place bigint, kind numeric, on_target bytea, of_staker bytea, more numeric, parts numeric)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    held stake;
    total stake_total;
BEGIN
    SELECT * INTO held FROM stake s WHERE s.target_type = kind AND s.target = on_target AND s.staker = of_staker;
    SELECT * INTO total FROM stake_total t WHERE t.target_type = kind AND t.target = on_target;
    held.amount := coalesce(held.amount, 0) + more;
    held.shares := coalesce(held.shares, 0) + parts;
    total.amount := coalesce(total.amount, 0) + more;
    total.shares := coalesce(total.shares, 0) + parts;
    IF held.amount < 0 OR held.shares < 0 OR 10::numeric ^ 38 <= greatest(held.amount, held.shares, abs(total.amount),
            abs(total.shares)) THEN
        RETURN false;
    END IF;
    INSERT INTO stake AS s VALUES (kind, on_target, of_staker, held.amount, held.shares)
    ON CONFLICT (target_type, target, staker) DO UPDATE SET amount = held.amount, shares = held.shares;
    INSERT INTO stake_total VALUES (kind, on_target, total.amount, total.shares)
    ON CONFLICT (target_type, target) DO UPDATE SET amount = total.amount, shares = total.shares;
    INSERT INTO stake_change VALUES (kind, on_target, of_staker, epoch_at(place) + 1, more);
    RETURN true;
END $$;

-- Whether the sum of a staker's stakes can change so; then it does.
CREATE FUNCTION change_power(of_staker bytea, more numeric) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    power numeric := more + coalesce((SELECT amount FROM voting_power v WHERE v.staker = of_staker), 0);
BEGIN
    IF power < 0 OR power >= 10::numeric ^ 38 THEN
        RETURN false;
    END IF;
    INSERT INTO voting_power VALUES (of_staker, power) ON CONFLICT (staker) DO UPDATE SET amount = power;
    RETURN true;
END $$;

DO $$
DECLARE
    e record;
    waiting numeric;
BEGIN
    FOR e IN
        SELECT position, contract, contract_name, contract_asset, 'staked' AS what, staker, target_type, target, amount,
            shares, NULL::numeric AS source_type, NULL::bytea AS source, 0::numeric AS unlock_at FROM staked
        UNION ALL SELECT position, contract, contract_name, contract_asset, 'asked', staker, target_type, target,
            amount, shares, NULL, NULL, unlock_at FROM unstake_requested
        UNION ALL SELECT position, contract, contract_name, contract_asset, 'left', staker, target_type, target, amount,
            0, NULL, NULL, 0 FROM unstaked
        UNION ALL SELECT position, contract, contract_name, contract_asset, 'moved', staker, target_type, target,
            amount, shares, source_type, source, 0 FROM redelegated
        ORDER BY position
    LOOP
        CONTINUE WHEN e.contract_asset IS NULL OR e.target_type NOT IN (1, 2, 3, 4)
            OR e.source_type NOT IN (1, 2, 3, 4) OR e.amount >= 10::numeric ^ 38 OR e.shares >= 10::numeric ^ 38
            OR e.unlock_at >= 2::numeric ^ 63;
        SELECT u.amount INTO waiting FROM unbonding u
        WHERE u.staker = e.staker AND u.target_type = e.target_type AND u.target = e.target;
        -- All or nothing: what a later condition refuses is taken back with the block.
        BEGIN
            IF e.what = 'staked' THEN
                IF NOT change_stake(e.position, e.target_type, e.target, e.staker, e.amount, e.shares)
                        OR NOT change_power(e.staker, e.amount) THEN
                    RAISE EXCEPTION USING ERRCODE = 'triggered_action_exception';
                END IF;
                CALL move(e.position, e.contract_name, e.contract, e.contract_asset, 'Unattributed', '\x', 'Staked',
                    e.target, e.amount);
            ELSIF e.what = 'asked' THEN
                IF NOT change_stake(e.position, e.target_type, e.target, e.staker, -e.amount, -e.shares)
                        OR coalesce(waiting, 0) + e.amount >= 10::numeric ^ 38
                        OR NOT change_power(e.staker, -e.amount) THEN
                    RAISE EXCEPTION USING ERRCODE = 'triggered_action_exception';
                END IF;
                INSERT INTO unbonding AS u VALUES (e.staker, e.target_type, e.target, e.amount)
                ON CONFLICT (staker, target_type, target) DO UPDATE SET amount = u.amount + e.amount;
                CALL move(e.position, e.contract_name, e.contract, e.contract_asset, 'Staked', e.target, 'Unbonding',
                    e.staker, e.amount);
            ELSIF e.what = 'left' AND waiting >= e.amount THEN
                UPDATE unbonding u SET amount = waiting - e.amount
                WHERE u.staker = e.staker AND u.target_type = e.target_type AND u.target = e.target;
                CALL move(e.position, e.contract_name, e.contract, e.contract_asset, 'Unbonding', e.staker,
                    'Unattributed', '\x', e.amount);
            ELSIF e.what = 'moved' THEN
                IF NOT change_stake(e.position, e.source_type, e.source, e.staker, -e.amount, -e.shares)
                        OR NOT change_stake(e.position, e.target_type, e.target, e.staker, e.amount, e.shares) THEN
                    RAISE EXCEPTION USING ERRCODE = 'triggered_action_exception';
                END IF;
                CALL move(e.position, e.contract_name, e.contract, e.contract_asset, 'Staked', e.source, 'Staked',
                    e.target, e.amount);
            END IF;
        EXCEPTION WHEN triggered_action_exception THEN
            NULL;
        END;
    END LOOP;
END $$;

CREATE INDEX ON stake_change (target_type, target, epoch);

-- Who had how much upon a target at an epoch's start: all changes of the epochs before.
CREATE FUNCTION stakes_at(kind bigint, on_target bytea, in_epoch bigint) RETURNS TABLE (staker bytea, amount numeric)
LANGUAGE sql STABLE AS $$
    SELECT c.staker, sum(c.amount) FROM stake_change c
    WHERE c.target_type = kind AND c.target = on_target AND c.epoch <= in_epoch
    GROUP BY c.staker HAVING sum(c.amount) > 0
$$;

CREATE UNLOGGED TABLE commission AS
SELECT target, new_rate::bigint AS rate, effective_epoch(position, from_epoch)::bigint AS from_epoch, position
FROM commission_set WHERE new_rate <= 1000000 AND from_epoch < 2::numeric ^ 63;

CREATE FUNCTION commission_at(place bigint, of_target bytea, in_epoch bigint) RETURNS bigint LANGUAGE sql STABLE
    RETURN coalesce((SELECT rate FROM commission WHERE target = of_target AND from_epoch <= in_epoch
                     AND position < place ORDER BY position DESC LIMIT 1), 0);
