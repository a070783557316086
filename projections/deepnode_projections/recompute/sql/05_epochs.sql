-- Epochs: what is behind the log EpochOpened(e) and before EpochOpened(e + 1) belongs to epoch e; before the first, to 0.
--
-- They count up by one from 1; an opening out of order has no effect. An entry belongs to the epoch that is open at its
-- position, however late it comes.
-- Sources: seeds/001 section 2; docs/devnet.md ("What the devnet's oracle does", 1); DESIGN section 6.

CREATE UNLOGGED TABLE epoch AS
WITH RECURSIVE opened AS (
    SELECT 0::numeric AS epoch, 0::bigint AS opened_position, 0::numeric AS start_block
    UNION ALL
    SELECT next.epoch, next.position, next.start_block
    FROM opened CROSS JOIN LATERAL (
        SELECT e.epoch, e.position, e.start_block FROM epoch_opened e
        WHERE e.epoch = opened.epoch + 1 AND e.position > opened.opened_position AND e.start_block < 2::numeric ^ 63
        ORDER BY e.position LIMIT 1
    ) AS next
)
SELECT epoch::bigint, opened_position, start_block::bigint FROM opened WHERE epoch > 0;

CREATE INDEX ON epoch (opened_position, epoch);

CREATE FUNCTION epoch_at(place bigint) RETURNS bigint LANGUAGE sql STABLE STRICT PARALLEL SAFE
    RETURN coalesce((SELECT e.epoch FROM epoch e WHERE e.opened_position <= place
                     ORDER BY e.opened_position DESC LIMIT 1), 0);

-- From which epoch on something holds that was set, at a position, to hold from another on: none that has begun.
-- Before epoch 1 everything may be set.
CREATE FUNCTION effective_epoch(place bigint, asked numeric) RETURNS numeric LANGUAGE sql STABLE STRICT PARALLEL SAFE
    RETURN CASE epoch_at(place) WHEN 0 THEN asked ELSE greatest(asked, epoch_at(place) + 1) END;
