-- PoWR: at an epoch's end the models of each domain are ranked by relevance, then accuracy, then id.
--
-- Relevance is the mean of use (beside the domain's most used model) and satisfaction (0 for one star, the whole for
-- five, the half without ratings); accuracy is the part of judged outputs that were correct. All in ppm, rounded down.
-- Sources: seeds/002 section 2; seeds/003 sections 1 and 2; docs/devnet.md (oracle, 7).

CREATE UNLOGGED TABLE model_rank AS
WITH measured AS (
    SELECT u.epoch, u.domain, u.model, u.ratings,
        coalesce(div(u.weighted * 1000000, nullif(max(u.weighted) OVER (PARTITION BY u.epoch, u.domain), 0)), 0) AS use,
        coalesce(div((u.stars - u.ratings) * 1000000, nullif(4 * u.ratings, 0)), 500000) AS satisfaction,
        coalesce(div(u.correct * 1000000, nullif(u.judged, 0)), 0) AS accuracy,
        ended.opened_position AS position
    FROM model_use u JOIN epoch ended ON ended.epoch = u.epoch + 1
)
SELECT epoch, domain, model, ratings, div(use + satisfaction, 2) AS relevance, accuracy, use, satisfaction, position,
    row_number() OVER (PARTITION BY epoch, domain ORDER BY div(use + satisfaction, 2) DESC, accuracy DESC, model) AS rank
FROM measured;
