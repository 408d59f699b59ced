CALL edge('day', 'date', '4714-11-24 BC', '5874897-12-31', '1970-01-01', '1969-12-31', '2000-02-29', '0001-12-31 BC',
    '0001-01-01', 'infinity', '-infinity', '10000-01-01');
CALL edge('clock', 'time', '00:00', '23:59:59.999999', '12:30:01.5', '24:00:00', '00:00:00.000001');
CALL edge('rough_clock', 'time(0)', '00:00', '23:59:59', '24:00:00');
CALL edge('zoned_clock', 'timetz', '00:00+00', '23:59:59.999999-15:59', '12:00+15:59', '24:00:00+00', '12:00+05:30:15');
CALL edge('moment', 'timestamp', '4714-11-24 00:00:00 BC', '294247-01-10 04:00:54.775807', '294247-01-10 04:00:54.775808',
    '294276-12-31 23:59:59.999999', 'infinity', '-infinity', '1970-01-01', '1969-12-31 23:59:59.999999', '2000-01-01',
    '0001-12-31 23:59:59 BC', '2024-02-29 12:00:00.000001');
CALL edge('zoned_moment', 'timestamptz', '4714-11-24 00:00:00+00 BC', '294247-01-10 04:00:54.775807+00',
    '294247-01-10 04:00:54.775808+00', '294276-12-31 23:59:59.999999+00', 'infinity', '-infinity', '1970-01-01+00',
    '2024-02-29 12:00:00.000001+05:30', '0044-03-15 12:00:00+00 BC');
CALL edge('rough_moment', 'timestamptz(3)', '2024-02-29 12:00:00.123+00', 'infinity', '1900-01-01 00:00:00+00');
CALL edge('span', 'interval', '0', '178000000 years', '-178000000 years', '1 year 2 mons -3 days 04:05:06.789', '-00:00:00.000001',
    '2562047:47:16.854775', '2562047:47:16.854776', '-2562047:47:16.854775', '-2562047:47:16.854776',
    '1 mon -1 day', '2147483647 days', '-2147483648 days', '2562047788:00:54.775807', '100 days 9000000 hours');
CALL edge('years', 'interval year', '178000000 years', '-1 year', '0');
CALL edge('months', 'interval year to month', '1 year 2 mons', '-13 mons');
CALL edge('hours', 'interval day to hour', '1 day 5 hours', '-1 day 5 hours');
CALL edge('seconds', 'interval minute to second(3)', '00:05:06.789', '-00:00:00.001');

CALL loses('day', 'infinity', $$ day = 'infinity' $$);
CALL loses('day', '-infinity', $$ day = '-infinity' $$);
CALL remains('day', $$ CASE WHEN isfinite(day) THEN day END $$);
CALL loses('clock', '24:00:00', $$ clock = '24:00:00' $$);
CALL remains('clock', $$ nullif(clock, '24:00:00') $$);
CALL loses('rough_clock', '24:00:00', $$ rough_clock = '24:00:00' $$);
CALL remains('rough_clock', $$ nullif(rough_clock, '24:00:00') $$);
CALL loses('moment', 'infinity', $$ moment = 'infinity' $$);
CALL loses('moment', '-infinity', $$ moment = '-infinity' $$);
CALL loses('moment', 'out of range', $$ isfinite(moment) AND moment > '294247-01-10 04:00:54.775807' $$);
CALL remains('moment', $$ CASE WHEN isfinite(moment) AND moment <= '294247-01-10 04:00:54.775807' THEN moment END $$);
CALL loses('zoned_moment', 'infinity', $$ zoned_moment = 'infinity' $$);
CALL loses('zoned_moment', '-infinity', $$ zoned_moment = '-infinity' $$);
CALL loses('zoned_moment', 'out of range',
    $$ isfinite(zoned_moment) AND zoned_moment > '294247-01-10 04:00:54.775807+00' $$);
CALL remains('zoned_moment',
    $$ CASE WHEN isfinite(zoned_moment) AND zoned_moment <= '294247-01-10 04:00:54.775807+00' THEN zoned_moment END $$);
CALL loses('rough_moment', 'infinity', $$ rough_moment = 'infinity' $$);
CALL remains('rough_moment', $$ CASE WHEN isfinite(rough_moment) THEN rough_moment END $$);

-- The time of an interval beside its months and days, in seconds: 64 bits of nanoseconds hold this much.
CREATE FUNCTION too_long(span interval) RETURNS boolean LANGUAGE sql AS $$
    SELECT extract(hour FROM span) * 3600 + extract(minute FROM span) * 60 + extract(second FROM span)
        NOT BETWEEN -9223372036.854775 AND 9223372036.854775 $$;
CALL loses('span', 'out of range', $$ too_long(span) $$);
CALL remains('span', $$ CASE WHEN NOT too_long(span) THEN span END $$);
