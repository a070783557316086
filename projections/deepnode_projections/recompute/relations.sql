-- What is compared: for each relation how many columns its key has, what the books hold, and what was recomputed.
-- `now_X` is the books' record table X as of the position that is compared, `books_X` their table X as it stands.

-- relation epoch 1
-- books
SELECT epoch, start_block, opened_position FROM now_epoch
-- recomputed
SELECT epoch, start_block, opened_position FROM epoch

-- relation parameter 3
-- books
SELECT scope, key, version, value, from_epoch, proposal FROM now_parameter
-- recomputed
SELECT scope, key, version, value, from_epoch, proposal FROM parameter

-- relation ruleset_in_force 1
-- books
SELECT version, spec_hash, from_epoch FROM now_ruleset_in_force
-- recomputed
SELECT version, spec_hash, from_epoch FROM ruleset_in_force

-- relation domain 1
-- books
SELECT domain, owner FROM now_domain
-- recomputed
SELECT DISTINCT ON (domain) domain, owner FROM domain_owner ORDER BY domain, position DESC

-- relation route 2
-- books
SELECT domain, asset, version, fees, buyback, foundation, share, variable_burn, yield_, from_epoch FROM now_route
-- recomputed
SELECT DISTINCT ON (domain, asset) domain, asset, version, rates[1], rates[2], rates[3], rates[4], rates[5], rates[6],
    from_epoch
FROM route ORDER BY domain, asset, version DESC

-- relation emission_weights 2
-- books
SELECT domain, version, from_epoch, miners, stakers, validators, owner, models FROM now_emission_weights
-- recomputed
SELECT domain, version, from_epoch, weights[1], weights[2], weights[3], weights[4], weights[5] FROM emission_weights

-- relation node 1
-- books
SELECT node, domain, operator, role, active, fee, fee_burned, left_reason, left_epoch FROM now_node
-- recomputed
SELECT node, domain, operator, role, active, fee, fee_burned, left_reason, left_epoch FROM node

-- relation model 1
-- books
SELECT model, domain, creator, a, b, x FROM now_model
-- recomputed
SELECT model, domain, creator, a, b, x FROM model

-- relation holding 2
-- books
SELECT holder, asset, sum(balance) AS balance FROM newest_balance WHERE holder IS NOT NULL
GROUP BY holder, asset HAVING sum(balance) <> 0
-- recomputed
SELECT holder, asset, balance FROM holding

-- relation balance 2
-- books
SELECT account, asset, balance FROM newest_balance WHERE balance <> 0
-- recomputed
SELECT account, asset, balance FROM balance

-- relation posting 3
-- books
SELECT p.position, a.name AS account, s.address AS asset, sum(p.amount) AS amount
FROM books_posting p JOIN books_account a USING (account_id) JOIN books_asset s USING (asset_id)
WHERE p.position <= (SELECT position FROM moment)
GROUP BY p.position, a.name, s.address HAVING sum(p.amount) <> 0
-- recomputed
SELECT position, account, asset, amount FROM moved

-- relation collateral 1
-- books
SELECT node, free, frozen FROM now_collateral
-- recomputed
SELECT node, free, frozen FROM collateral

-- relation collateral_case 2
-- books
SELECT "case", contract, node, task, severity, stage, frozen, burned, compensated, returned, retained, verdict
FROM now_collateral_case
-- recomputed
SELECT case_id, contract, node, task, severity, stage, frozen, burned, compensated, returned, retained, verdict
FROM collateral_case

-- relation stake 3
-- books
SELECT target_type, target, staker, amount, shares FROM now_stake
-- recomputed
SELECT target_type, target, staker, amount, shares FROM stake

-- relation stake_at 4
-- books
SELECT target_type, target, staker, from_epoch, amount FROM now_stake_at
-- recomputed
SELECT DISTINCT target_type, target, staker, epoch,
    sum(amount) OVER (PARTITION BY target_type, target, staker ORDER BY epoch RANGE UNBOUNDED PRECEDING)
FROM stake_change

-- relation stake_total 2
-- books
SELECT target_type, target, amount, shares FROM now_stake_total
-- recomputed
SELECT target_type, target, amount, shares FROM stake_total

-- relation unbonding 3
-- books
SELECT staker, target_type, target, amount FROM now_unbonding
-- recomputed
SELECT staker, target_type, target, amount FROM unbonding

-- relation commission 2
-- books
SELECT target, from_epoch, rate FROM now_commission
-- recomputed
SELECT DISTINCT ON (target, from_epoch) target, from_epoch, rate FROM commission
ORDER BY target, from_epoch, position DESC

-- relation round 2
-- books
SELECT round, contract, model, target, deadline, stage, raised, released, refunded, in_vault, yield_earned FROM now_round
-- recomputed
SELECT round, contract, model, target, deadline, stage, raised, released, refunded, in_vault, yield_earned FROM round

-- relation backer_share 3
-- books
SELECT round, contract, backer, shares, contributed FROM now_backer_share
-- recomputed
SELECT round, contract, backer, shares, contributed FROM backer_share

-- relation vault_position 3
-- books
SELECT round, contract, vault, shares, assets FROM now_vault_position
-- recomputed
SELECT round, contract, vault, shares, assets FROM vault_position

-- relation backer_at 3
-- books
SELECT epoch, model, backer, shares FROM now_backer_at
-- recomputed
SELECT epoch, model, backer, shares FROM backer_at

-- relation proposal 2
-- books
SELECT proposal, contract, deposit, deposit_stage, stage FROM now_proposal
-- recomputed
SELECT proposal, contract, deposit, deposit_stage, stage FROM proposal

-- relation receipt 2
-- books
SELECT receipt, contract, model, asset, amount, stage FROM now_receipt
-- recomputed
SELECT receipt, contract, model, asset, amount, stage FROM receipt

-- relation split_total 2
-- books
SELECT model, asset, gross, creator, backers, fees, buyback, foundation, domain, variable_burn, yield_, emission
FROM now_split_total
-- recomputed
SELECT model, asset, gross, legs[1], legs[2], legs[3], legs[4], legs[5], legs[6], legs[7], legs[8], legs[9]
FROM split_total

-- relation carry 4
-- books
SELECT c.model, c.version, c.asset, leg.n, leg.carry FROM now_carry c CROSS JOIN LATERAL unnest(ARRAY[creator, backers,
    fees, buyback, foundation, domain, variable_burn, yield_, emission]) WITH ORDINALITY AS leg(carry, n)
-- recomputed
SELECT model, version, asset, n, carry FROM carry

-- relation split_difference 3
-- books
SELECT what, key, reported_position, expected, fact FROM now_difference
WHERE subject = 'RevenueSplit' AND what <> 'gross'
-- recomputed
SELECT (leg_names())[n], receipt, position, expected, fact FROM expected_split WHERE expected IS DISTINCT FROM fact
UNION ALL
SELECT 'suspense', receipt, position, least(greatest(waiting, 0), 8 * version), waiting FROM (
    SELECT DISTINCT s.position, s.receipt, e.version, sum(s.gross - (SELECT sum(part) FROM unnest(s.legs) AS part))
        OVER (PARTITION BY s.model, s.asset ORDER BY s.position) AS waiting
    FROM split s JOIN expected_split e ON e.position = s.position AND e.n = 1
) AS w WHERE version IS NOT NULL AND waiting NOT BETWEEN 0 AND 8 * version

-- relation revenue 3
-- books
SELECT epoch, domain, asset, gross, receipts FROM now_revenue
-- recomputed
SELECT epoch_at(position), domain, asset, sum(gross), count(*) FROM split GROUP BY 1, 2, 3

-- relation released_total 3
-- books
SELECT leg, beneficiary, asset, amount FROM now_released_total
-- recomputed
SELECT leg, beneficiary, asset, amount FROM released_total

-- relation emission_mint 1
-- books
SELECT epoch, amount, from_revenue FROM now_emission_mint
-- recomputed
SELECT epoch, amount, from_revenue FROM emission_mint

-- relation allocation 3
-- books
SELECT epoch, domain, asset, miners, stakers, validators, owner, models, foundation, undistributed FROM now_allocation
-- recomputed
SELECT epoch, domain, asset, miners, stakers, validators, owner, models, foundation, undistributed FROM allocation

-- relation pool_difference 3
-- books
SELECT what, key, reported_position, expected, fact FROM now_difference WHERE subject = 'EpochAllocated'
-- recomputed
SELECT e.name, a.domain || a.asset, a.position, e.amount, fact.amount FROM allocation a
JOIN expected_pool e USING (position) JOIN LATERAL (VALUES ('miners', miners), ('stakers', stakers),
    ('validators', validators), ('owner', owner), ('models', models), ('foundation', foundation),
    ('undistributed', undistributed)) AS fact(name, amount) ON fact.name = e.name
WHERE fact.amount <> e.amount
UNION ALL
SELECT 'weights', a.domain, a.position, NULL, 0 FROM allocation a
WHERE NOT EXISTS (SELECT FROM expected_pool e WHERE e.position = a.position)

-- relation reward_root 2
-- books
SELECT epoch, asset, root, total, before_epoch, disabled_reason IS NOT NULL AS is_disabled FROM now_reward_root
-- recomputed
SELECT epoch, asset, root, total, before_epoch, is_disabled FROM reward_root

-- relation root_in_force 1
-- books
SELECT asset, epoch, root, total, claimed FROM now_root_in_force
-- recomputed
SELECT asset, epoch, root, total, claimed FROM root_in_force

-- relation claimed_total 2
-- books
SELECT earner, asset, amount FROM now_claimed_total
-- recomputed
SELECT earner, asset, amount FROM claimed_total

-- relation task 1
-- books
SELECT task, domain, model, price, asset, difficulty_ppm, epoch, stage, attempt, judged_epoch, credited_epoch
FROM now_task
-- recomputed
SELECT task, domain, model, price, asset, difficulty, epoch, stage, attempt, judged_epoch, credited_epoch FROM task

-- relation correction 3
-- books
SELECT producer, corrects, sequence, value_name, value, in_time FROM now_correction
WHERE value_name IN ('vwu', 'difficulty_ppm', 'price', 'rating')
-- recomputed
SELECT producer, corrects, sequence, value_name, value, in_time FROM correction

-- relation task_slot 3
-- books
SELECT task, attempt, slot, node, output_position, reported_severity, verdict, vwu, credited_vwu FROM now_task_slot
-- recomputed
SELECT task, attempt, slot, node, output_position, severity, verdict, vwu, credited_vwu FROM task_slot

-- relation validation 4
-- books
SELECT task, attempt, slot, validator, verdict, in_consensus FROM now_validation
-- recomputed
SELECT task, attempt, slot, validator, verdict, in_consensus FROM validation

-- relation work 3
-- books
SELECT epoch, domain, node, vwu, weighted, tasks FROM now_work
-- recomputed
SELECT epoch, domain, node, vwu, weighted, tasks FROM work

-- relation validator_work 3
-- books
SELECT epoch, domain, validator, validations, in_line, weighted FROM now_validator_work
-- recomputed
SELECT epoch, domain, validator, validations, in_line, weighted FROM validator_work

-- relation model_use 3
-- books
SELECT epoch, domain, model, tasks, vwu, weighted, judged, correct, ratings, stars FROM now_model_use
-- recomputed
SELECT epoch, domain, model, tasks, vwu, weighted, judged, correct, ratings, stars FROM model_use

-- relation model_sales 4
-- books
SELECT epoch, domain, model, asset, tasks, amount FROM now_model_sales
-- recomputed
SELECT epoch, domain, model, asset, tasks, amount FROM sales

-- relation model_rank 3
-- books
SELECT epoch, domain, model, relevance, accuracy, rank, use, satisfaction FROM now_model_rank
-- recomputed
SELECT epoch, domain, model, relevance, accuracy, rank, use, satisfaction FROM model_rank

-- relation trust 3
-- books
SELECT subject_type, subject, domain, score, updates, reason FROM now_trust
-- recomputed
SELECT subject_type, subject, domain, score, updates, reason FROM trust

-- relation reward 7
-- books
SELECT epoch, domain, asset, role, kind, subject, earner, amount, path FROM now_reward
-- recomputed
SELECT epoch, domain, asset, role, kind, subject, earner, amount, path FROM reward

-- relation earned 3
-- books
SELECT asset, earner, epoch, amount FROM now_earned
-- recomputed
SELECT asset, earner, epoch, amount FROM earned

-- relation expected_root 2
-- books
SELECT epoch, asset, total, earners FROM now_expected_root
-- recomputed
SELECT epoch, asset, total, earners FROM expected_root
