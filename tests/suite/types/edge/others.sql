-- Bytes and bits.
CALL edge('bytes', 'bytea', '\x', '\x00', '\x00ff', '\x' || repeat('00ff', 3000), '\x5c5c');
CALL edge('key', 'uuid', '00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff',
    'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11');
CALL edge('bits', 'bit(9)', '000000000', '111111111', '101010101');
CALL edge('some_bits', 'bit varying(70)', '', '1', repeat('10', 35));
CALL edge('endless_bits', 'bit varying', '', repeat('1', 200));

-- Addresses.
CALL edge('address', 'inet', '0.0.0.0', '255.255.255.255/32', '10.1.2.3/8', '::', '::ffff:1.2.3.4', '2001:db8::1/64');
CALL edge('network', 'cidr', '0.0.0.0/0', '10.0.0.0/8', '192.168.1.1/32', '::/0', '2001:db8::/32');
CALL edge('hardware', 'macaddr', '00:00:00:00:00:00', 'ff:ff:ff:ff:ff:ff');
CALL edge('long_hardware', 'macaddr8', '00:00:00:00:00:00:00:00', '08:00:2b:01:02:03:04:05');

-- Geometry.
CALL edge('spot', 'point', '(0,-0)', '(1.5,-2e300)', '(Infinity,NaN)', '(0.30000000000000004,4.9e-324)');
CALL edge('straight', 'line', '{1,2,3}', '{0,-1,0}', '{-1,0,1e300}');
CALL edge('segment', 'lseg', '[(0,0),(1,1)]', '[(-0,0),(Infinity,1)]');
CALL edge('bounds', 'box', '(1,1),(0,0)', '(Infinity,1),(-Infinity,-0)');
CALL edge('route', 'path', '((0,0),(1,1),(2,0))', '[(0,0),(1,1)]', '[(0,-0)]');
CALL edge('area', 'polygon', '((0,0),(1,1),(2,0))', '((0,0))');
CALL edge('round', 'circle', '<(0,0),0>', '<(1.5,-2),Infinity>');

-- Ranges.
CALL edge('numbers', 'int4range', 'empty', '(,)', '[1,5)', '[,5)', '[-2147483648,)');
CALL edge('large_numbers', 'int8range', 'empty', '[1,2)', '(,9223372036854775807)');
CALL edge('amounts', 'numrange', 'empty', '[1.50,2.500]', '(1,)', '[-1e100,NaN]', '(-Infinity,Infinity)');
CALL edge('moments', 'tsrange', 'empty', '["2000-01-01 00:00:00",infinity]', '("0044-03-15 12:00:00 BC",)');
CALL edge('zoned_moments', 'tstzrange', 'empty', '["2000-01-01 00:00:00+00","2000-01-02 00:00:00+00")', '(-infinity,)');
CALL edge('days', 'daterange', 'empty', '[2000-01-01,2000-02-01)', '[-infinity,infinity]');
CALL edge('gaps', 'int4multirange', '{}', '{[1,3),[5,8)}', '{(,)}');
CALL edge('day_gaps', 'datemultirange', '{}', '{[2000-01-01,2000-02-01),[2001-01-01,)}');
CREATE TYPE words_range AS RANGE (subtype = text, collation = "C");
CALL edge('between_words', 'words_range', 'empty', '["","a,b"]', '["\"\\","z(")');

-- The server's own.
CALL edge('relation', 'regclass', 'pg_class', 'original');
CALL edge('routine', 'regproc', 'pg_sleep', 'now');
CALL edge('typed_routine', 'regprocedure', 'abs(integer)', 'now()');
CALL edge('operator', 'regoperator', '+(integer,integer)', '-(NONE,integer)');
CALL edge('kind', 'regtype', 'integer', 'timestamp with time zone', 'mood');
CALL edge('role', 'regrole', 'dagflux', 'postgres');
CALL edge('space', 'regnamespace', 'public', 'pg_catalog');
CALL edge('dictionary', 'regdictionary', 'simple', 'english_stem');
CALL edge('configuration', 'regconfig', 'simple', 'english');
CALL edge('position', 'pg_lsn', '0/0', 'FFFFFFFF/FFFFFFFF', '16/B374D848');
CALL edge('transaction', 'xid8', '0', '18446744073709551615');
CALL edge('old_transaction', 'xid', '0', '4294967295');
CALL edge('snapshot', 'pg_snapshot', '10:20:10,14,15', '1:1:');
CALL edge('place', 'tid', '(0,1)', '(4294967295,65535)');

-- Extensions.
CREATE EXTENSION citext;
CREATE EXTENSION hstore;
CREATE EXTENSION ltree;
CREATE EXTENSION cube;
CREATE EXTENSION isn;
CREATE EXTENSION seg;
CALL edge('any_case', 'citext', '', 'MiXeD', 'Ünï 日本');
CALL edge('pairs', 'hstore', '', '"a"=>"1", "b"=>NULL', '""=>"", "日本"=>"\"quoted\\\"", "NULL"=>"NULL"');
CALL edge('branch', 'ltree', '', 'top.science.astronomy');
CALL edge('cuboid', 'cube', '(0)', '(1, 2, 3)', '(1.5, -2),(0.1, 1e+300)');
CALL edge('book', 'isbn', '0-306-40615-2', '978-0-306-40615-7');
CALL edge('product', 'ean13', '978-0-306-40615-7');
CALL edge('measure', 'seg', '1.5', '1 .. 2', '< 3');
