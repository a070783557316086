-- Balances: what is in every account, and what every address holds, after all postings.
--
-- A balance stays below 10**38 in either direction: an entry that would take an account beyond has no effect.
-- Sources: DESIGN section 6 ("Double entry"); ERC-20.

CREATE UNLOGGED TABLE moved AS
SELECT position, owner || CASE pocket WHEN '' THEN '' ELSE ':' || pocket END
    || CASE key WHEN '\x' THEN '' ELSE ':0x' || encode(key, 'hex') END AS account, holder, asset, sum(amount) AS amount
FROM posting GROUP BY position, owner, pocket, key, holder, asset HAVING sum(amount) <> 0;

CREATE FUNCTION is_beyond() RETURNS boolean LANGUAGE sql AS $$
    SELECT EXISTS (
        SELECT FROM (SELECT sum(amount) OVER (PARTITION BY account, asset ORDER BY position) AS balance FROM moved) AS m
        WHERE abs(balance) >= 10::numeric ^ 38)
$$;

-- Only where there is such an entry at all: the first goes, and the sums are looked at anew.
DO $$
DECLARE
    beyond bigint;
BEGIN
    WHILE is_beyond() LOOP
        SELECT min(position) INTO beyond FROM (
            SELECT position, sum(amount) OVER (PARTITION BY account, asset ORDER BY position) AS balance FROM moved
        ) AS m WHERE abs(balance) >= 10::numeric ^ 38;
        DELETE FROM moved WHERE position = beyond;
    END LOOP;
END $$;

CREATE UNLOGGED TABLE balance AS
SELECT account, asset, sum(amount) AS balance FROM moved GROUP BY account, asset HAVING sum(amount) <> 0;

-- What a token's own contract should say of an address: all accounts that it holds, together.
CREATE UNLOGGED TABLE holding AS
SELECT holder, asset, sum(amount) AS balance FROM moved WHERE holder IS NOT NULL
GROUP BY holder, asset HAVING sum(amount) <> 0;
