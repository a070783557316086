-- Emission and rewards: what is minted and allocated for epochs, what roots entitle to, and what was claimed.
--
-- A mint is one an epoch, an allocation one an epoch, domain and asset, of an epoch that is over. A root follows that
-- which stands, and entitles to no less; of it is payable what its total is above what was claimed. A root that is
-- disabled gives its place back to the newest one before it that is not. Nobody claims by a disabled root, or past its
-- total.
-- Sources: seeds/001 sections 2 and 4; DESIGN section 6; docs/devnet.md (oracle, 5, 6, 8).

CREATE UNLOGGED TABLE emission_mint AS
SELECT DISTINCT ON (epoch) epoch::bigint, amount, from_revenue, position FROM emission_minted
WHERE epoch < 2::numeric ^ 63 AND greatest(amount, from_revenue) < 10::numeric ^ 38 ORDER BY epoch, position;

CREATE UNLOGGED TABLE allocation AS
SELECT DISTINCT ON (epoch, domain, asset) epoch::bigint, domain, asset, miners, stakers, validators, owner, models,
    foundation, undistributed, miners + stakers + validators + owner + models + foundation + undistributed AS pool,
    position, contract, contract_name
FROM epoch_allocated a
WHERE greatest(miners, stakers, validators, owner, models, foundation, undistributed) < 10::numeric ^ 38
    AND epoch < epoch_at(position) AND is_token(chain_id, asset, block_number, log_index, position)
ORDER BY epoch, domain, asset, position;

INSERT INTO posting
SELECT a.position, a.contract_name, side.pocket, side.key, a.contract, a.asset, side.amount FROM allocation a
CROSS JOIN LATERAL (VALUES
    ('Unattributed', '\x'::bytea, -a.undistributed), ('Undistributed', a.domain, a.undistributed)
) AS side(pocket, key, amount)
WHERE a.undistributed <> 0;

CREATE UNLOGGED TABLE reward_root (
    epoch bigint, asset bytea, root bytea, total numeric, before_epoch bigint, is_disabled boolean, position bigint,
    PRIMARY KEY (epoch, asset)
);
CREATE UNLOGGED TABLE root_in_force (
    asset bytea PRIMARY KEY, epoch bigint, root bytea, total numeric, claimed numeric
);
CREATE UNLOGGED TABLE claimed_total (earner bytea, asset bytea, amount numeric, PRIMARY KEY (earner, asset));

DO $$
DECLARE
    e record;
    standing root_in_force;
    of_epoch reward_root;
    earlier reward_root;
    paid numeric;
BEGIN
    FOR e IN
        SELECT position, chain_id, block_number, log_index, contract, contract_name, 'submitted' AS what, epoch, asset,
            root AS id, total AS amount, greatest(end_block, activates_at) AS number FROM root_submitted
        UNION ALL SELECT position, chain_id, block_number, log_index, contract, contract_name, 'disabled', epoch, asset,
            NULL, 0, 0 FROM root_disabled
        UNION ALL SELECT position, chain_id, block_number, log_index, contract, contract_name, 'claimed', epoch, asset,
            earner, amount, 0 FROM claimed
        ORDER BY position
    LOOP
        CONTINUE WHEN e.amount >= 10::numeric ^ 38 OR greatest(e.epoch, e.number) >= 2::numeric ^ 63
            OR NOT is_token(e.chain_id, e.asset, e.block_number, e.log_index, e.position);
        SELECT * INTO standing FROM root_in_force f WHERE f.asset = e.asset;
        SELECT * INTO of_epoch FROM reward_root r WHERE r.epoch = e.epoch AND r.asset = e.asset;
        paid := coalesce(standing.total, 0);
        IF e.what = 'submitted' AND e.epoch > coalesce(standing.epoch, 0) AND e.amount >= paid THEN
            INSERT INTO reward_root VALUES (e.epoch, e.asset, e.id, e.amount, standing.epoch, false, e.position)
            ON CONFLICT (epoch, asset) DO UPDATE SET root = e.id, total = e.amount, before_epoch = standing.epoch,
                is_disabled = false, position = e.position;
            INSERT INTO root_in_force VALUES (e.asset, e.epoch, e.id, e.amount, 0)
            ON CONFLICT (asset) DO UPDATE SET epoch = e.epoch, root = e.id, total = e.amount;
            CALL move(e.position, e.contract_name, e.contract, e.asset, 'Unattributed', '\x', 'Payable', '\x',
                e.amount - paid);
        ELSIF e.what = 'disabled' AND NOT of_epoch.is_disabled THEN
            UPDATE reward_root r SET is_disabled = true WHERE r.epoch = e.epoch AND r.asset = e.asset;
            CONTINUE WHEN standing.epoch IS DISTINCT FROM e.epoch;
            WITH RECURSIVE back AS (
                SELECT r.* FROM reward_root r WHERE r.epoch = of_epoch.before_epoch AND r.asset = e.asset
                UNION ALL
                SELECT r.* FROM back JOIN reward_root r ON r.epoch = back.before_epoch AND r.asset = e.asset
                WHERE back.is_disabled
            )
            SELECT * INTO earlier FROM back WHERE NOT is_disabled ORDER BY epoch LIMIT 1;
            UPDATE root_in_force f SET epoch = earlier.epoch, root = earlier.root, total = coalesce(earlier.total, 0)
            WHERE f.asset = e.asset;
            CALL move(e.position, e.contract_name, e.contract, e.asset, 'Unattributed', '\x', 'Payable', '\x',
                coalesce(earlier.total, 0) - paid);
        ELSIF e.what = 'claimed' AND NOT of_epoch.is_disabled
                AND coalesce(standing.claimed, 0) + e.amount <= of_epoch.total THEN
            UPDATE root_in_force f SET claimed = f.claimed + e.amount WHERE f.asset = e.asset;
            INSERT INTO claimed_total AS c VALUES (e.id, e.asset, e.amount)
            ON CONFLICT (earner, asset) DO UPDATE SET amount = c.amount + e.amount;
            CALL move(e.position, e.contract_name, e.contract, e.asset, 'Payable', '\x', 'Unattributed', '\x', e.amount);
        END IF;
    END LOOP;
END $$;
