CREATE TYPE mood AS ENUM ('sad', 'so so', 'glad', '日本', 'it''s "odd"\');
CALL edge('words', 'text', '', ' ', 'ASCII', 'ünïcödé', '日本語', '🧀👩‍👩‍👧', E'tab\tline\nreturn\rback\\slash', '\N', 'NULL', '\.',
    '"quoted"', '{a,b}', repeat('ä', 5000), E'\u0001\u007f\u0085\u200e\ufeff\uffff', chr(1114111));
CALL edge('some_words', 'character varying(10)', '', '日本語日本語日本語日', 'trailing  ', '1234567890');
CALL edge('endless_words', 'character varying', '', 'any');
CALL edge('padded', 'character(5)', '', 'a', '日本語日本', '12345');
CALL edge('one_letter', 'character', 'x', ' ', 'é');
CALL edge('internal_letter', '"char"', 'a', '', ' ', '"', '\');
CALL edge('identifier', 'name', 'plain', '', 'Odd "name"', repeat('é', 31));
CALL edge('feeling', 'mood', 'sad', 'so so', 'glad', '日本', 'it''s "odd"\');
CALL edge('markup', 'xml', '<a/>', '<a b="c">text &amp; more 日本</a>', '<!-- one --><a/>', 'content, no document', '');
CALL edge('document', 'json', '{}', '[]', 'null', '{"b": 1,  "a": [1.0, 1e400, "\u00e9\n"], "b": 2}', '"日本"', '0.10',
    '{"": {"nested": [[], {}]}}');
CALL edge('packed_document', 'jsonb', '{}', '[]', 'null', '{"b": 1, "a": [1.0, 1e400, "\u00e9\n"]}', '"日本"', '0.10', 'true',
    '{"": {"nested": [[], {}]}}');
CALL edge('document_path', 'jsonpath', '$', '$."a"[*]', 'strict $.a[0] ? (@ > 1)');
CALL edge('lexemes', 'tsvector', '', '''a'':1A ''b'':2 ''ünï'':3C,4', '''it''''s'' ''two words''', '''\\'':16383');
CALL edge('search', 'tsquery', '', '''a'' & ( ''b'' | !''c'' )', '''a'' <-> ''b'':*A', '''it''''s''');
