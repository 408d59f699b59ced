-- 10,000 rows of values that the server draws, with a NULL now and then.
CREATE EXTENSION hstore;
CREATE EXTENSION citext;
CREATE TYPE mood AS ENUM ('sad', 'so so', 'glad');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN percent AS numeric(5,2);

-- Between 0 and n, without its end.
CREATE FUNCTION draw(n double precision) RETURNS double precision LANGUAGE sql VOLATILE AS $$ SELECT random() * n $$;
CREATE FUNCTION number() RETURNS bigint LANGUAGE sql VOLATILE AS
    $$ SELECT ((random() - 0.5) * 10 ^ (1 + random() * 17))::bigint $$;
CREATE FUNCTION small() RETURNS int LANGUAGE sql VOLATILE AS $$ SELECT (random() * 2000 - 1000)::int $$;
CREATE FUNCTION digits() RETURNS numeric LANGUAGE sql VOLATILE AS
    $$ SELECT number()::numeric * small() / (1 + abs(small())) $$;
CREATE FUNCTION words() RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT coalesce(string_agg(CASE WHEN random() < 0.7 THEN chr(32 + (random() * 94)::int)
        WHEN random() < 0.5 THEN chr(161 + (random() * 40000)::int) ELSE E'\t' END, ''), '')
    FROM generate_series(1, (random() * 12)::int) $$;
CREATE FUNCTION moment() RETURNS timestamp LANGUAGE sql VOLATILE AS $$
    SELECT CASE WHEN random() < 0.05 THEN 'infinity' WHEN random() < 0.05 THEN '-infinity'
        ELSE timestamp '2000-01-01' + (random() - 0.4) * interval '6000 years' END $$;
CREATE FUNCTION span() RETURNS interval LANGUAGE sql VOLATILE AS $$
    SELECT make_interval(months => small(), days => small(), secs => (random() - 0.5) * 1e7) $$;
CREATE FUNCTION feeling() RETURNS mood LANGUAGE sql VOLATILE AS
    $$ SELECT (enum_range(NULL::mood))[1 + (random() * 2)::int] $$;
CREATE FUNCTION address() RETURNS inet LANGUAGE sql VOLATILE AS
    $$ SELECT set_masklen(inet '0.0.0.0' + (random() * 4294967295)::bigint, (random() * 32)::int) $$;

CREATE TABLE served AS SELECT id,
    random() < 0.5 AS flag, small()::smallint AS small, number()::int8 AS big, (number() % 2147483647)::int AS whole,
    (number() / 7.0)::real AS single, number() / random() AS double, (abs(number()) % 4294967296)::oid AS ref,
    digits() AS exact, (number() / 1000.0 % 1e9)::numeric(12,3) AS price,
    CASE WHEN random() < 0.1 THEN 'NaN' ELSE digits() * digits() END::numeric(76,20) AS widest,
    words() AS words, left(words(), 8)::varchar(8) AS few_words, words()::char(15) AS padded, left(words(), 10)::name AS identifier,
    words()::citext AS any_case, feeling() AS feeling, convert_to(words(), 'UTF8') AS bytes, gen_random_uuid() AS key,
    to_json(words()) AS plain, jsonb_build_object(words(), words(), 'n', digits()) AS packed,
    moment()::date AS day, moment()::time AS clock, moment()::time::timetz AS zoned_clock, moment() AS moment,
    moment() AT TIME ZONE 'UTC' AS zoned_moment, span() AS span, (number() / 100.0)::money AS cash,
    address() AS address, network(address()) AS network, int4range(least(a, b), greatest(a, b), '[]') AS numbers,
    nummultirange(numrange(least(a, b), greatest(a, b), '(]'), numrange(a + 5000, a + 6000)) AS gaps,
    number()::bit(40) AS bits, trim(leading '0' FROM abs(number())::bit(30)::text)::varbit AS some_bits,
    point(number(), random()) AS spot, circle(point(small(), small()), random()) AS round, to_tsvector('simple', words()) AS lexemes,
    ROW(small(), words())::pair AS couple, (small() / 7.0)::percent AS percent, hstore(words(), words()) AS pairs,
    ARRAY[number(), NULL, number()] AS list, ARRAY[[small(), NULL], [small(), small()]] AS grid,
    ARRAY[words(), NULL, words()] AS texts, ARRAY[digits(), 'NaN', NULL] AS exact_list,
    ARRAY[(small() / 3.0)::numeric(8,3), 'NaN', NULL]::numeric(8,3)[] AS price_list, ARRAY[moment(), NULL, moment()] AS moments,
    ARRAY[feeling(), NULL] AS feelings, ARRAY[ROW(small(), words())::pair, NULL] AS couples, ARRAY[address(), NULL] AS addresses,
    ARRAY[int4range(least(a, b), greatest(a, b))] AS ranges, ARRAY[random(), '-0', 'Infinity']::float8[] AS doubles
    FROM (SELECT id, small() AS a, small() AS b FROM generate_series(1, 10000) id) drawn;

-- In a tenth of the rows, each column is NULL.
DO $$
DECLARE name text;
BEGIN
    FOR name IN SELECT attname FROM pg_attribute WHERE attrelid = 'served'::regclass AND attnum > 1 LOOP
        EXECUTE format('UPDATE served SET %1$I = NULL WHERE id %% 10 = %2$s', name, (random() * 9)::int);
    END LOOP;
END $$;
CREATE TABLE copy (LIKE served);
