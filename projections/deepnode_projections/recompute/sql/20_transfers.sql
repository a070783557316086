-- Transfers: what every balance rests on.
--
-- Tokens move by Transfer alone, from the zero address where they are minted, to it where they are burned. What goes to
-- or from a contract of the deployment passes that contract's pocket Unattributed, from which the contract's own event
-- takes it to the pocket that it is for. Amounts from 10**38 on have no effect.
-- Sources: ERC-20; DESIGN section 6 ("Double entry"); docs/ARCHITECTURE.md.

CREATE UNLOGGED TABLE posting (
    position bigint NOT NULL, owner text NOT NULL, pocket text NOT NULL, key bytea NOT NULL,
    holder bytea, asset bytea NOT NULL, amount numeric NOT NULL
);

-- Whether an address is a token at a place of a chain; without a place, behind the log that announces it.
CREATE FUNCTION is_token(on_chain bigint, at_address bytea, block bigint, index int, place bigint) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
    RETURN EXISTS (SELECT FROM contract c WHERE c.chain_id = on_chain AND c.address = at_address AND c.kind = 'Token'
        AND (c.since_block IS NULL OR c.since_position < place AND (block IS NULL
             OR (c.since_block, c.since_index) < (block, index))));

INSERT INTO posting
SELECT t.position,
    CASE WHEN side.address = '\x0000000000000000000000000000000000000000' THEN side.nobody
         WHEN c.name IS NULL THEN 'Wallet' ELSE c.name END,
    CASE WHEN c.name IS NULL THEN '' ELSE 'Unattributed' END,
    CASE WHEN c.name IS NULL AND side.address <> '\x0000000000000000000000000000000000000000' THEN side.address
         ELSE '\x' END,
    nullif(side.address, '\x0000000000000000000000000000000000000000'),
    t.contract, side.amount
FROM transfer t
CROSS JOIN LATERAL (VALUES (t.sender, 'Mint', -t.value), (t.receiver, 'Burn', t.value)) AS side(address, nobody, amount)
LEFT JOIN contract c ON c.chain_id = t.chain_id AND c.address = side.address
    AND (c.since_block IS NULL OR (c.since_block, c.since_index) < (t.block_number, t.log_index))
WHERE t.value > 0 AND t.value < 10::numeric ^ 38;

-- A contract of the manifest at the zero address would be nobody all the same.
UPDATE posting SET pocket = '', key = '\x' WHERE owner IN ('Mint', 'Burn') AND holder IS NULL AND pocket <> '';

-- Say what an event moved between two pockets of its contract; from or to Unattributed where tokens come in or go out.
CREATE PROCEDURE move(
    place bigint, of_contract text, at_address bytea, in_asset bytea, from_pocket text, from_key bytea,
    to_pocket text, to_key bytea, base_units numeric
) LANGUAGE sql AS $$
    INSERT INTO posting
    SELECT place, of_contract, side.pocket, side.key, at_address, in_asset, side.amount
    FROM (VALUES (from_pocket, from_key, -base_units), (to_pocket, to_key, base_units)) AS side(pocket, key, amount)
    WHERE base_units <> 0
$$;
