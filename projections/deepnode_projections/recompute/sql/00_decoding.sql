-- Decoding: from bytes to numbers, addresses and JSON values, as strictly as the ABI and docs/task-events.md say.
--
-- An ABI word is 32 bytes. A number of N bits fills the word's end and the rest is zero; so does an address of 20
-- bytes. What is dynamic (a string, a list) leaves its place in the word, and stands there with its length before it.
-- A value that breaks its rule is NULL here, and who reads it gives the whole event no effect.
-- Sources: the Solidity ABI specification; docs/task-events.md ("Forms").

CREATE FUNCTION uint(word bytea) RETURNS numeric LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN ('0x' || encode(word, 'hex'))::numeric;

-- A word of the data by its number, from 0; NULL where the data ends before it does.
CREATE FUNCTION word(bytes bytea, number bigint) RETURNS bytea LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN CASE WHEN length(bytes) >= 32 * (number + 1) THEN substr(bytes, (32 * number + 1)::int, 32) END;

CREATE FUNCTION uint_of(word bytea, bits int) RETURNS numeric LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN CASE WHEN substr(word, 1, 32 - bits / 8) = decode(repeat('00', 32 - bits / 8), 'hex') THEN uint(word) END;

CREATE FUNCTION address_of(word bytea) RETURNS bytea LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN CASE WHEN substr(word, 1, 12) = '\x000000000000000000000000'::bytea THEN substr(word, 13) END;

-- Where a dynamic value begins (bytes, from 0): its place must lie within the data, with room for its length.
CREATE FUNCTION place_of(bytes bytea, number bigint) RETURNS int LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN CASE WHEN uint(word(bytes, number)) <= length(bytes) - 32 THEN uint(word(bytes, number))::int END;

CREATE FUNCTION length_at(bytes bytea, place int) RETURNS int LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN CASE WHEN uint(substr(bytes, place + 1, 32)) <= length(bytes) THEN uint(substr(bytes, place + 1, 32))::int END;

-- A string: its bytes are filled up with zeros to whole words, and are UTF-8.
CREATE FUNCTION string_of(bytes bytea, number bigint) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL UNSAFE AS $$
DECLARE
    place int := place_of(bytes, number);
    length_bytes int := length_at(bytes, place_of(bytes, number));
    padded int := (length_bytes + 31) / 32 * 32;
    content bytea;
BEGIN
    IF length_bytes IS NULL OR place + 32 + padded > length(bytes) THEN
        RETURN NULL;
    END IF;
    content := substr(bytes, place + 33, length_bytes);
    IF ltrim(encode(substr(bytes, place + 33 + length_bytes, padded - length_bytes), 'hex'), '0') <> '' THEN
        RETURN NULL;
    END IF;
    -- PostgreSQL's text knows no zero character: a question mark stands for it, and two strokes for a backslash.
    content := decode(replace(replace(encode(content, 'escape'), '\\', '//'), '\000', '?'), 'escape');
    RETURN convert_from(content, 'UTF8');
EXCEPTION WHEN data_exception THEN
    RETURN NULL;
END $$;

-- A list of numbers of N bits: one word each.
CREATE FUNCTION uints_of(bytes bytea, number bigint, bits int) RETURNS numeric[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT CASE WHEN bool_and(value IS NOT NULL) IS NOT FALSE THEN coalesce(array_agg(value ORDER BY n), '{}') END
    FROM (SELECT place_of(bytes, number) AS place, length_at(bytes, place_of(bytes, number)) AS count) AS told
    CROSS JOIN LATERAL (
        SELECT n, uint_of(substr(bytes, place + 33 + 32 * n, 32), bits) AS value FROM generate_series(0, count - 1) AS n
    ) AS each
    WHERE place + 32 + 32::bigint * count <= length(bytes)
    HAVING count(*) > 0 OR (
        SELECT length_at(bytes, place_of(bytes, number)) = 0
    )
$$;

-- So many numbers of N bits, one behind the other among the arguments themselves.
CREATE FUNCTION row_of(bytes bytea, number bigint, count int, bits int) RETURNS numeric[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT CASE WHEN bool_and(value IS NOT NULL) THEN array_agg(value ORDER BY n) END
    FROM (SELECT n, uint_of(word(bytes, number + n), bits) AS value FROM generate_series(0, count - 1) AS n) AS each
$$;

-- What catches an error begins a transaction within the other, which no parallel worker may: hence UNSAFE.
-- The text that was signed, as JSON; NULL if it is none. The text is kept, not what jsonb would make of its numbers:
-- 1.0 and 1e2 are no whole numbers here. \u0000 is a control character like any other, which no form allows.
CREATE FUNCTION json_of(payload bytea) RETURNS json LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL UNSAFE AS $$
DECLARE
    told json;
BEGIN
    told := replace(convert_from(payload, 'UTF8'), '\u0000', '\u0001')::json;
    -- Fails where an escape stands for no character.
    PERFORM told::jsonb;
    RETURN told;
EXCEPTION WHEN data_exception OR statement_too_complex OR program_limit_exceeded THEN
    RETURN NULL;
END $$;

-- Forms: 0x and digits; a whole number; decimal text of at most 38 digits.
CREATE FUNCTION hex_of(said json, length_bytes int) RETURNS bytea LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN CASE WHEN json_typeof(said) = 'string' AND said #>> '{}' ~ '^0x([0-9a-fA-F]{2})*$'
        AND length(said #>> '{}') = 2 + 2 * length_bytes THEN decode(substr(said #>> '{}', 3), 'hex') END;

CREATE FUNCTION whole_of(said json, low bigint, high bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN CASE WHEN json_typeof(said) = 'number' AND said #>> '{}' ~ '^-?(0|[1-9][0-9]{0,17})$'
        AND (said #>> '{}')::bigint BETWEEN low AND high THEN (said #>> '{}')::bigint END;

CREATE FUNCTION decimal_of(said json, low numeric) RETURNS numeric
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN CASE WHEN json_typeof(said) = 'string' AND said #>> '{}' ~ '^(0|[1-9][0-9]{0,37})$'
        AND (said #>> '{}')::numeric >= low THEN (said #>> '{}')::numeric END;

CREATE FUNCTION text_of(said json, pattern text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN CASE WHEN json_typeof(said) = 'string' AND said #>> '{}' ~ pattern THEN said #>> '{}' END;

-- A member that may be left out is: it is not there, or it is null.
CREATE FUNCTION is_left_out(said json) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN said IS NULL OR json_typeof(said) = 'null';

-- A count that may be left out.
CREATE FUNCTION is_count(said json) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN is_left_out(said) OR whole_of(said, 0, 9007199254740992) IS NOT NULL;

-- The accepted slots: an ascending list of whole numbers from 1 to 64.
CREATE FUNCTION slots_of(said json) RETURNS bigint[] LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL UNSAFE AS $$
DECLARE
    slots bigint[];
BEGIN
    IF json_typeof(said) <> 'array' THEN
        RETURN NULL;
    END IF;
    IF EXISTS (SELECT FROM json_array_elements(said) AS e
               WHERE json_typeof(e) <> 'number' OR e::text !~ '^\s*[1-9][0-9]?\s*$') THEN
        RETURN NULL;
    END IF;
    SELECT coalesce(array_agg(e::text::bigint ORDER BY n), '{}') INTO slots
    FROM json_array_elements(said) WITH ORDINALITY AS each(e, n);
    IF slots <> ARRAY(SELECT DISTINCT s FROM unnest(slots) AS s ORDER BY s) OR 64 < ANY (slots) THEN
        RETURN NULL;
    END IF;
    RETURN slots;
END $$;
