Statements that are to pass: analytics of every kind that PostgreSQL has, and the definitions and
changes that operations consist of.

    === NAME | MODE | SOURCES
    --- PLACE
    SQL

MODE is join (with `select`), new-table (with `create` and `insert`), local (with `select` and `create`, of the
workspace) or in-place (with `changes`, one or more). The target is shop.result, or `result` in the workspace.

=== frames of rows | join | shop.orders, shop.customers
--- select
SELECT o.id, c.name,
       sum(o.total) OVER (PARTITION BY c.id ORDER BY o.placed_at ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS last_three,
       lag(o.total, 1, 0) OVER (PARTITION BY c.id ORDER BY o.placed_at) AS before,
       nth_value(o.total, 2) OVER (PARTITION BY c.id ORDER BY o.placed_at ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS second
FROM shop.orders o JOIN shop.customers c ON c.id = o.customer_id

=== frames by range and groups, with exclusion | join | shop.orders, shop.customers
--- select
SELECT o.id, c.name,
       avg(o.total) OVER (ORDER BY o.placed_at RANGE BETWEEN interval '7 days' PRECEDING AND CURRENT ROW) AS week,
       sum(o.total) OVER (ORDER BY o.sent_on GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING EXCLUDE TIES) AS near
FROM shop.orders o JOIN shop.customers c ON c.id = o.customer_id

=== named windows | join | shop.orders, shop.customers
--- select
SELECT c.name, o.id, rank() OVER w AS rank, dense_rank() OVER w AS dense, percent_rank() OVER w AS percent,
       ntile(4) OVER (w ROWS UNBOUNDED PRECEDING) AS quarter
FROM shop.orders o JOIN shop.customers c ON c.id = o.customer_id
WINDOW w AS (PARTITION BY c.id ORDER BY o.total DESC NULLS LAST)

=== grouping sets | join | shop.orders, shop.customers
--- select
SELECT c.name, o.status, sum(o.total) AS total, grouping(c.name, o.status) AS level
FROM shop.orders o JOIN shop.customers c ON c.id = o.customer_id
GROUP BY GROUPING SETS ((c.name, o.status), (c.name), ())
HAVING count(*) > 1

=== cube and rollup | join | shop.orders, shop.order_lines
--- select
SELECT o.status, l.sku, date_trunc('month', o.placed_at) AS month, count(*) AS lines
FROM shop.orders o JOIN shop.order_lines l ON l.order_id = o.id
GROUP BY CUBE (o.status, l.sku), ROLLUP (date_trunc('month', o.placed_at))

=== filtered aggregates | join | shop.orders, shop.customers
--- select
SELECT c.id, count(*) FILTER (WHERE o.status = 'paid') AS paid,
       sum(o.total) FILTER (WHERE o.placed_at >= now() - interval '30 days') AS lately,
       bool_and(o.note IS NULL) AS silent
FROM shop.customers c LEFT JOIN shop.orders o ON o.customer_id = c.id
GROUP BY c.id

=== ordered-set aggregates | join | shop.orders, shop.customers
--- select
SELECT c.name, percentile_cont(0.5) WITHIN GROUP (ORDER BY o.total) AS median,
       percentile_disc(ARRAY[0.25, 0.75]) WITHIN GROUP (ORDER BY o.total) AS quartiles,
       mode() WITHIN GROUP (ORDER BY o.status) AS usual
FROM shop.orders o, shop.customers c WHERE c.id = o.customer_id GROUP BY c.name

=== ordered and distinct aggregates | join | shop.order_lines, shop.products
--- select
SELECT l.order_id, string_agg(DISTINCT p.name, ', ' ORDER BY p.name) AS names,
       array_agg(l.quantity ORDER BY l.line DESC) AS quantities,
       json_object_agg(l.sku, l.quantity) AS by_sku
FROM shop.order_lines l JOIN shop.products p USING (sku) GROUP BY l.order_id

=== the last three of each | join | shop.customers, shop.orders
--- select
SELECT c.name, last.id AS order_id, last.total
FROM shop.customers c
CROSS JOIN LATERAL (
    SELECT o.id, o.total FROM shop.orders o WHERE o.customer_id = c.id ORDER BY o.placed_at DESC LIMIT 3
) AS last

=== a recursive query | join | shop.customers, shop.orders
--- select
WITH RECURSIVE chain(id, name, path) AS (
    SELECT id, name, ARRAY[id] FROM shop.customers WHERE referred_by IS NULL
    UNION ALL
    SELECT c.id, c.name, chain.path || c.id
    FROM shop.customers c JOIN chain ON c.referred_by = chain.id WHERE NOT c.id = ANY (chain.path)
)
SELECT chain.*, (SELECT count(*) FROM shop.orders o WHERE o.customer_id = chain.id) AS orders FROM chain

=== a recursive query with search and cycle | join | shop.customers, shop.orders
--- select
WITH RECURSIVE chain AS (
    SELECT id, referred_by FROM shop.customers
    UNION ALL
    SELECT c.id, c.referred_by FROM shop.customers c JOIN chain ON c.referred_by = chain.id
) SEARCH DEPTH FIRST BY id SET place CYCLE id SET is_cycle USING path
SELECT id, place::text AS place, is_cycle FROM chain

=== names that hide a table only where they are given | join | shop.orders, shop.customers
--- select
WITH orders AS MATERIALIZED (SELECT * FROM shop.orders WHERE total > 10),
     best AS NOT MATERIALIZED (SELECT customer_id, max(total) AS best FROM orders GROUP BY 1)
SELECT c.name, best.best FROM best JOIN shop.customers c ON c.id = best.customer_id

=== the first of each | join | shop.orders, shop.customers
--- select
SELECT DISTINCT ON (o.customer_id) o.customer_id, c.name, o.id AS first_order
FROM shop.orders o JOIN shop.customers c ON c.id = o.customer_id
ORDER BY o.customer_id, o.placed_at

=== a sample | join | shop.orders, shop.customers
--- select
SELECT o.id, c.email FROM shop.orders o TABLESAMPLE BERNOULLI (10) REPEATABLE (42)
JOIN shop.customers c ON c.id = o.customer_id

=== set operations | join | shop.orders, shop.customers
--- select
(SELECT id FROM shop.customers EXCEPT ALL SELECT customer_id FROM shop.orders WHERE status = 'returned')
INTERSECT SELECT customer_id FROM shop.orders
UNION ALL SELECT id FROM shop.customers ORDER BY 1 LIMIT 100 OFFSET 2

=== values as a table | join | shop.orders, shop.customers
--- select
SELECT o.id, v.label FROM shop.orders o
JOIN (VALUES ('new'::shop.status, 'not paid; waiting'), ('paid', 'paid -- at last')) AS v(status, label) ON v.status = o.status

=== a whole table by its name | join | shop.order_totals, shop.customers
--- select
TABLE shop.order_totals

=== a calendar | join | shop.orders, shop.customers
--- select
SELECT d::date AS day, coalesce(sum(o.total), 0) AS total
FROM generate_series(date '2026-01-01', date '2026-03-31', interval '1 day') AS g(d)
LEFT JOIN shop.orders o ON o.placed_at >= d AND o.placed_at < d + interval '1 day'
GROUP BY d ORDER BY d

=== functions side by side | join | shop.orders, shop.customers
--- select
SELECT n, tag, ord FROM ROWS FROM (generate_series(1, 3), unnest(ARRAY['a', 'b'])) WITH ORDINALITY AS x(n, tag, ord)

=== json operators | join | shop.customers, shop.orders
--- select
SELECT c.id, c.profile -> 'plan' ->> 'name' AS plan, c.profile #>> '{plan,seats}' AS seats,
       c.profile ? 'marks' AS marked, c.profile ?| ARRAY['a', 'b'] AS either, c.profile - 'plan' AS rest,
       c.profile || jsonb_build_object('n', 1) AS more
FROM shop.customers c WHERE c.profile @> '{"plan": {"name": "pro"}}'

=== json paths | join | shop.customers, shop.orders
--- select
SELECT c.id, mark.value, jsonb_path_query_array(c.profile, '$.marks[*] ? (@ > 2)') AS high
FROM shop.customers c, jsonb_path_query(c.profile, '$.marks[*]') AS mark(value)
WHERE c.profile @? '$.plan ? (@.seats > 1)' OR c.profile @@ '$.plan.name == "free"'

=== json to rows | join | shop.customers, shop.orders
--- select
SELECT c.id, plan.name, plan.seats, each.key
FROM shop.customers c
CROSS JOIN LATERAL jsonb_to_record(c.profile -> 'plan') AS plan(name text, seats int)
LEFT JOIN LATERAL jsonb_each_text(c.profile) AS each(key, value) ON true

=== arrays | join | shop.customers, shop.orders
--- select
SELECT c.id, tag, ord, c.tags[1] AS first, c.tags[1:2] AS two, cardinality(c.tags) AS many
FROM shop.customers c LEFT JOIN LATERAL unnest(c.tags) WITH ORDINALITY AS u(tag, ord) ON true
WHERE 'vip' = ANY (c.tags) OR c.tags && ARRAY['early'] OR c.tags = '{}'

=== arrays of queries | join | shop.customers, shop.orders
--- select
SELECT c.id, ARRAY(SELECT o.id FROM shop.orders o WHERE o.customer_id = c.id ORDER BY 1) AS orders,
       array_to_string(array_remove(c.tags, 'vip'), ';') AS tags
FROM shop.customers c

=== ranges | join | shop.products, shop.orders
--- select
SELECT p.sku, upper(p.on_sale) - lower(p.on_sale) AS days, p.on_sale && daterange('2026-01-10', NULL) AS later,
       p.on_sale * daterange('2026-01-01', '2026-01-15', '[]') AS common
FROM shop.products p WHERE p.on_sale @> date '2026-01-15' AND NOT isempty(p.on_sale)

=== multiranges | join | shop.products, shop.orders
--- select
SELECT p.sku, range_agg(p.on_sale) AS whole, r AS part
FROM shop.products p LEFT JOIN LATERAL unnest(p.seasons) AS r ON r -|- p.on_sale
GROUP BY p.sku, r

=== full text | join | shop.products, shop.order_lines
--- select
SELECT p.sku, ts_rank_cd(p.search, q) AS rank, ts_headline('english', p.description, q) AS headline
FROM shop.products p, websearch_to_tsquery('english', 'small "useful thing" -bolt') AS q
WHERE p.search @@ q OR to_tsvector('english', p.description) @@ (to_tsquery('english', 'nut') || q)

=== patterns | join | shop.customers, shop.orders
--- select
SELECT c.id, regexp_replace(c.name, '^(\w)(.*)$', '\2\1', 'g') AS turned, (regexp_match(c.email, '@(.+)$'))[1] AS domain,
       c.name SIMILAR TO '%(a|e)%' AS similar, substring(c.name from '#"%#"e' for '#') AS part
FROM shop.customers c
WHERE c.name ~* '^[a-g]' AND c.email !~ ';' AND c.name NOT LIKE '50!%' ESCAPE '!' AND c.name ILIKE ANY (ARRAY['%a%', '%b%'])

=== dates | join | shop.orders, shop.customers
--- select
SELECT o.id, extract(isodow FROM o.placed_at) AS weekday, date_bin('15 minutes', o.placed_at, timestamptz '2026-01-01') AS bin,
       age(o.sent_on, o.placed_at::date) AS age, o.placed_at AT TIME ZONE 'Europe/Berlin' AS local,
       (o.placed_at, o.placed_at + interval '1 day') OVERLAPS (timestamptz '2026-01-02', interval '2 hours') AS overlaps,
       make_interval(days => 3) + interval '1-2' year to month AS span, to_char(o.placed_at, 'IYYY-"W"IW; HH24:MI') AS week
FROM shop.orders o

=== the best with ties | join | shop.orders, shop.customers
--- select
SELECT o.id, o.total FROM shop.orders o ORDER BY o.total DESC NULLS LAST OFFSET 1 ROW FETCH FIRST 5 ROWS WITH TIES

=== subqueries of all sorts | join | shop.orders, shop.customers, shop.order_lines
--- select
SELECT o.id, (SELECT max(l.price) FROM shop.order_lines l WHERE l.order_id = o.id) AS dearest
FROM shop.orders o
WHERE EXISTS (SELECT FROM shop.order_lines l WHERE l.order_id = o.id)
  AND o.customer_id NOT IN (SELECT id FROM shop.customers WHERE email IS NULL)
  AND o.total >= ALL (SELECT total FROM shop.orders x WHERE x.customer_id = o.customer_id)
  AND (o.customer_id, o.status) IN (SELECT c.id, 'paid'::shop.status FROM shop.customers c)

=== conditions | join | shop.orders, shop.customers
--- select
SELECT o.id, CASE o.status WHEN 'new' THEN 0 WHEN 'paid' THEN 1 ELSE 2 END AS step,
       CASE WHEN o.total > 10 THEN 'large' WHEN o.note IS NOT NULL THEN 'noted' END AS kind,
       o.note IS DISTINCT FROM 'x' AS other, nullif(o.note, '') AS note, greatest(o.total, 1, 2) AS most
FROM shop.orders o WHERE o.total BETWEEN SYMMETRIC 100 AND 1 AND (o.customer_id, o.id) > (1, 10) AND (o.total > 5) IS NOT UNKNOWN

=== collations | join | shop.customers, shop.products
--- select
SELECT c.name COLLATE "C" AS name, p.name AS product FROM shop.customers c JOIN shop.products p ON p.name < c.name COLLATE "C"
ORDER BY c.name COLLATE "C" DESC, lower(p.name) USING <

=== strings that look like something else | join | shop.customers, shop.products
--- select
SELECT c.id, E'it\'s; -- no comment /* nor this' AS a, $$; DROP TABLE shop.orders; --$$ AS b,
       $body$ a $$ b; COMMIT $body$ AS c, 'it''s; COMMIT' AS d, U&'d\0061t\+000061; \\' AS e, B'101' AS f, N'x' AS g
FROM shop.customers c /* nested /* comments; */ end */ -- and; one of a line

=== names in quotes | join | shop.customers, shop.orders
--- select
SELECT "c"."Joined At" AS "Joined; At", c.id AS "select", count(*) AS "a""b"
FROM "shop"."customers" AS "c" GROUP BY 1, 2

=== names in capitals | join | shop.customers, shop.orders
--- select
SELECT C.ID, C.Name FROM SHOP.Customers C JOIN Shop.ORDERS O ON O.CUSTOMER_ID = C.ID

=== joins of all sorts | join | shop.orders, shop.order_lines, shop.products, shop.customers
--- select
SELECT sku, o.id, c.name AS customer, p.name AS product
FROM shop.orders o JOIN shop.order_lines l ON l.order_id = o.id
FULL JOIN shop.products p USING (sku)
LEFT JOIN (shop.customers c CROSS JOIN (SELECT 1 AS one) x) ON c.id = o.customer_id
RIGHT JOIN ONLY (shop.customers) r ON r.id = c.referred_by

=== composite values and pure functions | join | shop.customers, shop.orders
--- select
SELECT c.id, (c.address).city AS city, shop.euros(o.total_cents::bigint) AS euros, row_to_json(c) AS whole,
       random() AS chance, gen_random_uuid() AS key, clock_timestamp() AS seen, pg_typeof(o.total)::text AS kind
FROM shop.customers c JOIN shop.orders o ON o.customer_id = c.id

=== xml | join | shop.customers, shop.orders
--- select
SELECT c.id, xmlelement(name customer, xmlattributes(c.id AS id), c.name)::text AS xml, x.a
FROM shop.customers c, XMLTABLE('/r' PASSING xmlparse(document '<r><a>1</a></r>') COLUMNS a int PATH 'a') AS x

=== statistics | join | shop.orders, shop.order_lines
--- select
SELECT corr(o.total, l.quantity) AS corr, regr_slope(o.total, l.quantity) AS slope, stddev_samp(o.total) AS spread,
       width_bucket(avg(o.total), 0, 100, 5) AS bucket, |/ 25.0 AS root, 5 # 3 AS bits, @ -5 AS abs
FROM shop.orders o JOIN shop.order_lines l ON l.order_id = o.id

=== a table of its own | new-table | shop.orders
--- create
CREATE TABLE shop.result (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    "Customer" bigint NOT NULL,
    status shop.status DEFAULT 'new',
    total numeric(12,2) NOT NULL CHECK (total >= 0),
    cents bigint GENERATED ALWAYS AS ((total * 100)::bigint) STORED,
    label text COLLATE "C" DEFAULT upper('none'),
    key uuid DEFAULT gen_random_uuid(),
    days daterange,
    seen timestamptz(3) DEFAULT now(),
    tags text[] NOT NULL DEFAULT '{}',
    CONSTRAINT once UNIQUE ("Customer", status),
    CHECK (label <> '' OR total > 0)
) WITH (fillfactor = 80)
--- insert
INSERT INTO shop.result ("Customer", status, total)
SELECT customer_id, status, sum(total) FROM shop.orders GROUP BY 1, 2;

=== an insert behind a query | new-table | shop.orders
--- create
CREATE TABLE shop.result (id bigint, customer_id bigint, share numeric)
--- insert
WITH sums AS (SELECT customer_id, sum(total) AS total FROM shop.orders GROUP BY 1)
INSERT INTO shop.result AS r
SELECT o.id, o.customer_id, round(o.total / NULLIF(s.total, 0), 4)
FROM shop.orders o JOIN sums s USING (customer_id)
ON CONFLICT DO NOTHING
--- preview
SELECT * FROM shop.result ORDER BY share DESC LIMIT 10

=== values for an identity | new-table | shop.customers
--- create
CREATE TABLE shop.result (id bigint GENERATED ALWAYS AS IDENTITY, name varchar(200), since date)
--- insert
INSERT INTO shop.result (id, name, since) OVERRIDING SYSTEM VALUE
SELECT id, initcap(name), "Joined At"::date FROM shop.customers
--- preview
SELECT count(*), min(since) FROM shop.result

=== the workspace's own | local | shop.orders
--- create
CREATE TABLE result (customer_id INTEGER NOT NULL, month TEXT NOT NULL, total NUMERIC, PRIMARY KEY (customer_id, month)) WITHOUT ROWID
--- select
SELECT customer_id, to_char(placed_at, 'YYYY-MM') AS month, sum(total) AS total FROM shop.orders GROUP BY 1, 2
--- preview
SELECT month, total(total) AS total, rank() OVER (ORDER BY month) AS place FROM result GROUP BY month

=== rows changed by those of a query | in-place | shop.orders
--- changes
UPDATE shop.orders AS o SET (note, sent_on) = (s.note, s.day)
FROM (SELECT customer_id, min(placed_at)::date AS day, 'first' AS note FROM shop.orders GROUP BY 1) AS s
WHERE s.customer_id = o.customer_id AND o.placed_at::date = s.day

=== rows changed by a condition | in-place | shop.customers
--- changes
UPDATE shop.customers SET name = trim(name), tags = array_append(tags, 'old'), profile = profile - 'plan'
WHERE "Joined At" < now() - interval '1 year' AND NOT ('old' = ANY (tags))

=== rows deleted beside others | in-place | shop.order_lines
--- changes
DELETE FROM shop.order_lines AS l USING shop.order_lines AS other
WHERE other.order_id = l.order_id AND other.sku = l.sku AND other.line < l.line

=== rows deleted behind a query | in-place | shop.orders
--- changes
WITH old AS (SELECT id FROM shop.orders WHERE placed_at < date '2020-01-01')
DELETE FROM ONLY shop.orders WHERE id IN (SELECT id FROM old)

=== a column that is added and filled | in-place | shop.orders
--- changes
ALTER TABLE shop.orders ADD COLUMN quarter integer CHECK (quarter BETWEEN 1 AND 4), ADD COLUMN checked boolean NOT NULL DEFAULT false
--- changes
UPDATE shop.orders SET quarter = extract(quarter FROM placed_at)::integer WHERE quarter IS NULL
--- changes
ALTER TABLE shop.orders ALTER COLUMN quarter SET NOT NULL

=== columns of other types and names | in-place | shop.customers
--- changes
ALTER TABLE shop.customers
    ALTER COLUMN name TYPE varchar(200) USING left(trim(name), 200),
    ALTER COLUMN email SET DEFAULT '',
    DROP COLUMN IF EXISTS address,
    ADD CONSTRAINT named CHECK (name <> '')
--- changes
ALTER TABLE shop.customers RENAME COLUMN "Joined At" TO joined_at
