-- A mean of finite doubles is finite, also where their sum is not: it is taken from the two parts
-- of the sum (migration 0080), before these are put together.
-- No other function is called: a refresh of the rollups finds none, as its search path is bare.
create function float8_average(small float8, large float8, number float8) returns float8
language sql immutable parallel safe as $$
  select case
    when large is null or large = 0 then
      case
        when abs(small) < number * 5e-324::float8 then 0::float8
        else coalesce(small, 0) / number
      end
    when large in ('Infinity'::float8, '-Infinity'::float8, 'NaN'::float8) then large
    -- Rounded up, the mean of the largest doubles would be out of range.
    when abs((large + case when abs(small) >= 1e200 then small / 18446744073709551616 else 0 end)
        / number) >= 1.7976931348623157e308::float8 / 18446744073709551616
      then sign(large) * 1.7976931348623157e308::float8
    else (large + case when abs(small) >= 1e200 then small / 18446744073709551616 else 0 end)
      / number * 18446744073709551616
  end
$$;

-- The large part of the sum of a rollup's row: a sum that has overflowed is made of the mean.
create function float8_large_part(total float8, mean float8, number float8) returns float8
language sql immutable parallel safe as $$
  select case
    when abs(total) < 'Infinity'::float8 then total / 18446744073709551616
    else mean / 18446744073709551616 * number
  end
$$;

-- The views of the rollups keep their columns, as in migration 0080.
do $do$
declare
  part record;
  safe text;
begin
  for part in
    select v.oid::regclass as name, a.user_view_name as rollup,
      pg_get_viewdef(v.oid) as definition
    from _timescaledb_catalog.continuous_agg a
    cross join lateral (values
      (a.user_view_schema, a.user_view_name),
      (a.partial_view_schema, a.partial_view_name),
      (a.direct_view_schema, a.direct_view_name)
    ) as w (nspname, relname)
    join pg_namespace n on n.nspname = w.nspname
    join pg_class v on v.relnamespace = n.oid and v.relname = w.relname
    where a.user_view_name in ('metrics_1min', 'metrics_1hour')
      and a.user_view_schema = current_schema
  loop
    safe := regexp_replace(part.definition,
      '\mfloat8_mean\(float8_total\(([^\n]*)\), (\((?:count|sum)\([a-z_0-9.]+\)\)::double precision\))'
      ' AS avg_value',
      'float8_average(\1, \2 AS avg_value');
    if part.rollup = 'metrics_1hour' then
      -- The first is that of the mean; the sum stays what it is.
      safe := regexp_replace(safe,
        '\(((?:metrics_1min\.)?)sum_value / \(''18446744073709551616''::numeric\)'
        '::double precision\)',
        'float8_large_part(\1sum_value, \1avg_value, (\1sample_count)::double precision)');
    end if;
    if safe !~ 'float8_average' or safe ~ 'float8_mean'
      or (part.rollup = 'metrics_1hour') <> (safe ~ 'float8_large_part') then
      raise exception 'the definition of % is not the expected one', part.name
      using detail = part.definition,
      hint = 'this version of TimescaleDB is not supported yet';
    end if;
    execute format('create or replace rule "_RETURN" as on select to %s do instead %s',
      part.name, safe);
  end loop;
end
$do$;
