-- Governance: the deposit of a proposal waits in its own pocket, and is returned or forfeited once, behind the tally.
--
-- A proposal's id is taken once within its contract, and its voting ends behind its block. It is tallied once, not
-- before the voting's end. A deposit leaves whole or not at all.
-- Source: DESIGN sections 2 (12) and 5; seeds/001 section 4.

CREATE UNLOGGED TABLE proposal (
    proposal bytea, contract bytea, deposit numeric, deposit_stage text, voting_ends numeric, stage text,
    PRIMARY KEY (proposal, contract)
);

DO $$
DECLARE
    e record;
    known proposal;
BEGIN
    FOR e IN
        SELECT position, block_time, contract, contract_name, contract_asset, 'created' AS what, proposal AS id,
            deposit AS amount, voting_ends AS ends, value AS other FROM proposal_created
        UNION ALL SELECT position, block_time, contract, contract_name, contract_asset,
            CASE WHEN passed THEN 'passed' ELSE 'failed' END, proposal, 0, 0,
            greatest(votes_for, votes_against, votes_abstain) FROM proposal_tallied
        UNION ALL SELECT position, block_time, contract, contract_name, contract_asset, 'returned', proposal, amount, 0,
            0 FROM deposit_returned
        UNION ALL SELECT position, block_time, contract, contract_name, contract_asset, 'forfeited', proposal, amount, 0,
            0 FROM deposit_forfeited
        ORDER BY position
    LOOP
        CONTINUE WHEN e.amount >= 10::numeric ^ 38 OR e.ends >= 2::numeric ^ 63 OR e.other >= 10::numeric ^ 38
            OR (e.contract_asset IS NULL AND e.what NOT IN ('passed', 'failed'));
        SELECT * INTO known FROM proposal p WHERE p.proposal = e.id AND p.contract = e.contract;
        IF e.what = 'created' AND known.proposal IS NULL AND e.ends > e.block_time THEN
            INSERT INTO proposal VALUES (e.id, e.contract, e.amount, 'held', e.ends, 'created');
            CALL move(e.position, e.contract_name, e.contract, e.contract_asset, 'Unattributed', '\x', 'Deposit', e.id,
                e.amount);
        ELSIF e.what IN ('passed', 'failed') AND known.stage = 'created' AND e.block_time >= known.voting_ends THEN
            UPDATE proposal p SET stage = e.what WHERE p.proposal = e.id AND p.contract = e.contract;
        ELSIF e.what IN ('returned', 'forfeited') AND known.stage <> 'created' AND known.deposit_stage = 'held'
                AND known.deposit = e.amount THEN
            UPDATE proposal p SET deposit_stage = e.what WHERE p.proposal = e.id AND p.contract = e.contract;
            CALL move(e.position, e.contract_name, e.contract, e.contract_asset, 'Deposit', e.id, 'Unattributed', '\x',
                e.amount);
        END IF;
    END LOOP;
END $$;
