CALL edge('flag', 'boolean', 'true', 'false');
CALL edge('small', 'smallint', '-32768', '32767', '0', '-1');
CALL edge('whole', 'integer', '-2147483648', '2147483647', '0', '-1');
CALL edge('big', 'bigint', '-9223372036854775808', '9223372036854775807', '0', '-1');
CALL edge('single', 'real', '0', '-0', 'NaN', 'Infinity', '-Infinity', '3.4028235e38', '-3.4028235e38', '1e-45',
    '1.1754944e-38', '0.1');
CALL edge('double', 'double precision', '0', '-0', 'NaN', 'Infinity', '-Infinity', '1.7976931348623157e308',
    '-1.7976931348623157e308', '4.9e-324', '2.2250738585072014e-308', '0.1', '0.30000000000000004');
CALL edge('ref', 'oid', '0', '4294967295', '26');

-- Decimals: the ends of every width, and on both sides of where a wider one begins.
CALL edge('digit', 'numeric(1,0)', '9', '-9', '0', 'NaN');
CALL edge('price', 'numeric(12,2)', '9999999999.99', '-9999999999.99', '0', '0.01', '-0.01', 'NaN', '10000', '0.10');
CALL edge('narrow', 'numeric(38,10)', '9999999999999999999999999999.9999999999',
    '-9999999999999999999999999999.9999999999', '0.0000000001', '-0.0000000001', '0', 'NaN', '1e27');
CALL edge('narrow_whole', 'numeric(38,0)', repeat('9', 38), '-' || repeat('9', 38), '1', 'NaN');
CALL edge('wide', 'numeric(39,0)', repeat('9', 39), '-' || repeat('9', 39), '0', 'NaN');
CALL edge('widest', 'numeric(76,20)', repeat('9', 56) || '.' || repeat('9', 20),
    '-' || repeat('9', 56) || '.' || repeat('9', 20), '0.' || repeat('0', 19) || '1', '0', 'NaN', '1e55');
CALL edge('widest_fraction', 'numeric(76,76)', '0.' || repeat('9', 76), '-0.' || repeat('9', 76), '0', '1e-76', 'NaN');
CALL edge('too_wide', 'numeric(77,0)', repeat('9', 77), '-' || repeat('9', 77), '0', 'NaN');
CALL edge('longest', 'numeric(1000,0)', repeat('9', 1000), '-' || repeat('9', 1000), '0', 'NaN');
CALL edge('hundreds', 'numeric(5,-2)', '9999900', '-9999900', '0', '100', 'NaN');
CALL edge('small_fraction', 'numeric(3,5)', '0.00999', '-0.00999', '0', '0.00001', 'NaN');
CALL edge('exact', 'numeric', repeat('1234567890', 13) || '.5', '-' || repeat('9', 65) || '.' || repeat('9', 65),
    '1e-130', '0', '0.00', '1.50', '1e131071', 'NaN', 'Infinity', '-Infinity', '100');
CALL edge('cash', 'money', '-92233720368547758.08', '92233720368547758.07', '0', '-0.01');

CALL loses('digit', 'NaN', $$ digit = 'NaN' $$);
CALL loses('price', 'NaN', $$ price = 'NaN' $$);
CALL loses('narrow', 'NaN', $$ narrow = 'NaN' $$);
CALL loses('narrow_whole', 'NaN', $$ narrow_whole = 'NaN' $$);
CALL loses('wide', 'NaN', $$ wide = 'NaN' $$);
CALL loses('widest', 'NaN', $$ widest = 'NaN' $$);
CALL loses('widest_fraction', 'NaN', $$ widest_fraction = 'NaN' $$);
CALL loses('hundreds', 'NaN', $$ hundreds = 'NaN' $$);
CALL loses('small_fraction', 'NaN', $$ small_fraction = 'NaN' $$);
CALL remains('digit', $$ nullif(digit, 'NaN') $$);
CALL remains('price', $$ nullif(price, 'NaN') $$);
CALL remains('narrow', $$ nullif(narrow, 'NaN') $$);
CALL remains('narrow_whole', $$ nullif(narrow_whole, 'NaN') $$);
CALL remains('wide', $$ nullif(wide, 'NaN') $$);
CALL remains('widest', $$ nullif(widest, 'NaN') $$);
CALL remains('widest_fraction', $$ nullif(widest_fraction, 'NaN') $$);
CALL remains('hundreds', $$ nullif(hundreds, 'NaN') $$);
CALL remains('small_fraction', $$ nullif(small_fraction, 'NaN') $$);
