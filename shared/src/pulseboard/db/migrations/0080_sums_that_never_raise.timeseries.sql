-- Sums and averages of any doubles. PostgreSQL's own raise where finite values overflow, where the
-- squares that avg() adds up do, and where a quotient becomes zero: one such sample stops the refresh
-- for all metrics.
--
-- A sum is taken in two parts: of values below 1e290, which no number of samples brings to overflow,
-- and of the larger ones divided by 2^64, which is exact. Out of range it is infinite.
create function float8_total(small float8, large float8) returns float8
language sql immutable parallel safe as $$
  select case
    when large is null then small
    when large = 0 then coalesce(small, 0)
    when large in ('Infinity'::float8, '-Infinity'::float8, 'NaN'::float8) then large
    when abs(large + case when abs(small) >= 1e200 then small / 18446744073709551616 else 0 end)
      > 1.7976931348623157e308::float8 / 18446744073709551616
      then sign(large) * 'Infinity'::float8
    else (large + case when abs(small) >= 1e200 then small / 18446744073709551616 else 0 end)
      * 18446744073709551616
  end
$$;

-- `number` is at least 1; a mean that is nearer to zero than any double is zero.
create function float8_mean(total float8, number float8) returns float8
language sql immutable parallel safe as $$
  select case when abs(total) < number * 5e-324::float8 then 0::float8 else total / number end
$$;

-- A continuous aggregate can't be altered, and made anew it would lose what raw has dropped. Its
-- views can be: what is selected stays the same apart from sums and averages. A rule needs only the
-- ownership of a view, where `create or replace view` needs rights in TimescaleDB's schema.
do $do$
declare
  part record;
  safe text;
  total constant text := 'float8_total(sum(\1) filter (where \1 > -1e290 and \1 < 1e290),'
    ' sum(\1 / 18446744073709551616) filter (where not (\1 > -1e290 and \1 < 1e290)))';
begin
  for part in
    select v.oid::regclass as name, pg_get_viewdef(v.oid) as definition
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
      '\mavg\(((?:metrics_raw\.)?value)\)', 'float8_mean(sum(\1), count(\1))');
    safe := regexp_replace(safe,
      '\(sum\(((?:metrics_1min\.)?sum_value)\) / (\(sum\((?:metrics_1min\.)?sample_count\)\)'
      '::double precision)\)',
      'float8_mean(sum(\1), \2)');
    safe := regexp_replace(safe,
      '\msum\(((?:metrics_raw\.|metrics_1min\.)?(?:value|sum_value))\)', total, 'g');
    if (select count(*) from regexp_matches(safe, 'float8_total', 'g')) <> 2
      or safe !~ 'float8_mean' then
      raise exception 'the definition of % is not the expected one', part.name
      using detail = part.definition,
      hint = 'this version of TimescaleDB is not supported yet';
    end if;
    execute format('create or replace rule "_RETURN" as on select to %s do instead %s',
      part.name, safe);
  end loop;
end
$do$;
