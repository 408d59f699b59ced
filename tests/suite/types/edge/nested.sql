-- Arrays: empty, NULL elements, elements that need quotes, other dimensions and lower bounds.
CALL edge('list', 'integer[]', '{}', '{1}', '{NULL}', '{1,NULL,-2147483648}', '{{1,2},{3,NULL}}', '[0:1]={7,8}',
    '{{{1,2},{3,4}},{{5,6},{7,8}}}', '[2:2]={5}');
CALL edge('grid', 'integer[][]', '{}', '{{1,2},{3,NULL}}', '{{NULL}}', '{1,2}', '[1:1][0:1]={{1,2}}', '{{{1},{2}}}');
CALL edge('cuboids', 'bigint[][][]', '{}', '{{{1,2},{3,4}},{{5,6},{7,NULL}}}', '{{{9223372036854775807}}}', '{1}', '{{1}}');
CALL edge('texts', 'text[]', '{}', '{"",NULL,"NULL","null"}', '{"a,b","c\"d","e\\f","{g}"," h "}', '{日本,🧀}', '{{a},{b}}');
CALL edge('prices', 'numeric(12,2)[]', '{}', '{1.50,NULL,-9999999999.99}', '{NaN,0,NaN}', '{NULL}');
CALL edge('exact_list', 'numeric[]', '{}', ('{' || repeat('1234567890', 13) || ',NaN,Infinity,1.50,NULL}'));
CALL edge('flags', 'boolean[]', '{}', '{t,f,NULL}');
CALL edge('smalls', 'smallint[]', '{-32768,32767,NULL}', '{}');
CALL edge('doubles', 'double precision[]', '{0,-0,NaN,Infinity,-Infinity,NULL,4.9e-324}', '{}');
CALL edge('keys', 'uuid[]', '{}', '{00000000-0000-0000-0000-000000000000,NULL}');
CALL edge('some_days', 'date[]', '{}', '{2000-01-01,NULL}', '{infinity,2000-01-01,-infinity,infinity}');
CALL edge('some_moments', 'timestamp[]', '{}', '{"2000-01-01 00:00:00",NULL,"0044-03-15 12:00:00 BC"}',
    '{infinity,"294276-12-31 23:59:59.999999","1970-01-01 00:00:00"}');
CALL edge('some_zoned_moments', 'timestamptz[]', '{}', '{"2000-01-01 00:00:00+00",NULL}');
CALL edge('spans', 'interval[]', '{}', '{"1 mon -1 days",NULL,"2562047788:00:54.775807"}');
CALL edge('clocks', 'time[]', '{00:00:00,24:00:00,NULL}', '{}');
CALL edge('blobs', 'bytea[]', '{}', '{"\\x","\\x00ff",NULL}');
CALL edge('feelings', 'mood[]', '{}', '{sad,NULL,"so so","it''s \"odd\"\\"}');
CALL edge('documents', 'jsonb[]', '{}', '{"{\"a\": [1, null]}",NULL,"null"}');
CALL edge('plain_documents', 'json[]', '{}', '{"{\"a\":  1}",NULL}');
CALL edge('addresses', 'inet[]', '{}', '{10.1.2.3/8,NULL,::1}', '{{::1}}');
CALL edge('cash_list', 'money[]', '{}', '{$1.50,NULL,"-$92,233,720,368,547,758.08"}');
CALL edge('boxes', 'box[]', '{}', '{(1,1),(0,0);(2,2),(1,1)}');
CALL edge('ranges', 'int4range[]', '{}', '{"[1,5)",empty,NULL,"(,)"}');
CALL edge('padded_list', 'character(3)[]', '{}', '{"a  ",NULL,"   "}');
CALL edge('identifiers', 'name[]', '{}', '{plain,"Odd \"name\"",NULL}');

-- Composites: nested, with arrays, of NULLs, with values that do not fit.
CREATE TYPE pair AS (a int, b text);
CREATE TYPE entry AS (id bigint, price numeric(12,2), due date, tags text[], pair pair, pairs pair[], feeling mood, "Odd ""name""" text);
CALL edge('couple', 'pair', '(1,x)', '(,)', '(,"")', '(-5,"a,b ""q"" \\ (日本)")');
CALL edge('couples', 'pair[]', '{}', '{"(1,x)",NULL,"(,)","(2,\"a,b\")"}', '{{"(1,x)"}}');
CALL edge('entry', 'entry', '(,,,,,,,)', '(1,1.50,2000-01-01,"{a,NULL}","(1,x)","{""(2,y)"",NULL}",sad,odd)',
    '(2,NaN,infinity,{},"(,)",{},"so so",)', '(3,,-infinity,"{{a},{b}}",,"{NULL}",glad,"")');
CALL edge('entries', 'entry[]', '{}', '{"(1,NaN,infinity,{},,,,)","(2,NaN,2000-01-01,,,,sad,x)",NULL}');

-- Domains: over scalars, over another domain, over an array, over a composite, and arrays of them.
CREATE DOMAIN percent AS numeric(5,2) CHECK (value IS NULL OR value BETWEEN 0 AND 100 OR value = 'NaN');
CREATE DOMAIN short AS varchar(5);
CREATE DOMAIN shorter AS short CHECK (length(value) < 4);
CREATE DOMAIN scores AS int[] CHECK (cardinality(value) < 4);
CREATE DOMAIN twins AS pair;
CALL edge('percent', 'percent', '0', '100', '99.99', 'NaN');
CALL edge('short', 'short', '', '日本語日本');
CALL edge('shorter', 'shorter', '', 'abc');
CALL edge('scores', 'scores', '{}', '{1,NULL,3}', '{{1}}');
CALL edge('twins', 'twins', '(1,x)', '(,)');
CALL edge('percents', 'percent[]', '{}', '{0,100,NULL,NaN}');
CALL edge('shorts', 'short[]', '{}', '{a,NULL,日本語日本}');

-- An array that was declared with `declared` dimensions, and one that Arrow's lists can hold.
CREATE FUNCTION plain(list anyarray, declared int) RETURNS boolean LANGUAGE sql AS $$
    SELECT array_ndims(list) IS NULL OR array_ndims(list) = declared
        AND NOT EXISTS (SELECT FROM generate_series(1, declared) d WHERE array_lower(list, d) <> 1) $$;
CALL loses('list', '2 dimensions', $$ array_ndims(list) = 2 $$);
CALL loses('list', '3 dimensions', $$ array_ndims(list) = 3 $$);
CALL loses('list', 'other lower bound than 1', $$ array_ndims(list) = 1 AND array_lower(list, 1) <> 1 $$);
CALL remains('list', $$ CASE WHEN plain(list, 1) THEN list END $$);
CALL loses('grid', '1 dimension', $$ array_ndims(grid) = 1 $$);
CALL loses('grid', '3 dimensions', $$ array_ndims(grid) = 3 $$);
CALL loses('grid', 'other lower bound than 1', $$ array_ndims(grid) = 2 AND NOT plain(grid, 2) $$);
CALL remains('grid', $$ CASE WHEN plain(grid, 2) THEN grid END $$);
CALL loses('cuboids', '1 dimension', $$ array_ndims(cuboids) = 1 $$);
CALL loses('cuboids', '2 dimensions', $$ array_ndims(cuboids) = 2 $$);
CALL remains('cuboids', $$ CASE WHEN plain(cuboids, 3) THEN cuboids END $$);
CALL loses('texts', '2 dimensions', $$ array_ndims(texts) = 2 $$);
CALL remains('texts', $$ CASE WHEN plain(texts, 1) THEN texts END $$);
CALL loses('addresses', '2 dimensions', $$ array_ndims(addresses) = 2 $$);
CALL remains('addresses', $$ CASE WHEN plain(addresses, 1) THEN addresses END $$);
CALL loses('couples', '2 dimensions', $$ array_ndims(couples) = 2 $$);
CALL remains('couples', $$ CASE WHEN plain(couples, 1) THEN couples END $$);
CALL loses('scores', '2 dimensions', $$ array_ndims(scores::int[]) = 2 $$);
CALL remains('scores', $$ CASE WHEN plain(scores::int[], 1) THEN scores END $$);
CALL loses('prices', 'NaN', $$ cardinality(array_positions(prices, 'NaN')) $$);
CALL remains('prices', $$ array_replace(prices, 'NaN', NULL) $$);
CALL loses('percent', 'NaN', $$ percent = 'NaN' $$);
CALL remains('percent', $$ nullif(percent::numeric, 'NaN') $$);
CALL loses('percents', 'NaN', $$ cardinality(array_positions(percents::numeric[], 'NaN')) $$);
CALL remains('percents', $$ array_replace(percents::numeric(5,2)[], 'NaN', NULL) $$);
CALL loses('some_days', 'infinity', $$ cardinality(array_positions(some_days, 'infinity')) $$);
CALL loses('some_days', '-infinity', $$ cardinality(array_positions(some_days, '-infinity')) $$);
CALL remains('some_days', $$ array_replace(array_replace(some_days, 'infinity', NULL), '-infinity', NULL) $$);
CALL loses('some_moments', 'infinity', $$ cardinality(array_positions(some_moments, 'infinity')) $$);
CALL loses('some_moments', 'out of range', $$ cardinality(array_positions(some_moments, '294276-12-31 23:59:59.999999')) $$);
CALL remains('some_moments',
    $$ array_replace(array_replace(some_moments, 'infinity', NULL), '294276-12-31 23:59:59.999999', NULL) $$);
CALL loses('spans', 'out of range', $$ (SELECT count(*) FROM unnest(spans) span WHERE too_long(span)) $$);
CALL remains('spans', $$ array_replace(spans, '2562047788:00:54.775807', NULL) $$);
CALL loses('clocks', '24:00:00', $$ cardinality(array_positions(clocks, '24:00:00')) $$);
CALL remains('clocks', $$ array_replace(clocks, '24:00:00', NULL) $$);
-- Attributes that do not fit become null by themselves.
CREATE FUNCTION remainder_of(entry entry) RETURNS entry LANGUAGE sql AS $$
    SELECT CASE WHEN entry IS DISTINCT FROM NULL THEN ROW((entry).id, nullif((entry).price, 'NaN'),
        CASE WHEN isfinite((entry).due) THEN (entry).due END,
        CASE WHEN plain((entry).tags, 1) THEN (entry).tags END,
        (entry).pair, (entry).pairs, (entry).feeling, (entry)."Odd ""name""")::entry END $$;
CALL loses('entry', 'NaN', $$ (entry).price = 'NaN' $$);
CALL loses('entry', 'infinity', $$ (entry).due = 'infinity' $$);
CALL loses('entry', '-infinity', $$ (entry).due = '-infinity' $$);
CALL loses('entry', '2 dimensions', $$ array_ndims((entry).tags) = 2 $$);
CALL remains('entry', $$ remainder_of(entry) $$);
CALL loses('entries', 'NaN', $$ (SELECT count(*) FROM unnest(entries) e WHERE e.price = 'NaN') $$);
CALL loses('entries', 'infinity', $$ (SELECT count(*) FROM unnest(entries) e WHERE e.due = 'infinity') $$);
CALL remains('entries', $$ CASE WHEN entries IS NOT NULL THEN
    ARRAY(SELECT remainder_of(entries[place]) FROM generate_subscripts(entries, 1) place ORDER BY place) END $$);
