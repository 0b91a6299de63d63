-- What a refresh reads of raw samples -----------------------------------------
-- A refresh reads one minute of all series. By metrics_raw_series_time it would visit each series, so
-- it read the newest chunk whole. Samples lie about in the order of their times: for each 32 pages
-- this index has the first and last, which costs ingest next to nothing.
create index metrics_raw_time on metrics_raw using brin (time)
  with (pages_per_range = 32, autosummarize = on);

-- What a bucket needs for rates and deviations to be exact ----------------------
-- `samples` are in the order of their times. PostgreSQL holds NaN for the largest number; in PromQL
-- no comparison with it is true. Called for each row of each refresh, so a loop has few steps.
create function counter_resets(samples float8[]) returns bigint
language plpgsql immutable parallel safe as $$
declare
  value float8; before float8; found bigint := 0;
begin
  foreach value in array samples loop
    found := found + case when value < before and before <> 'NaN' then 1 else 0 end;
    before := value;
  end loop;
  return found;
end
$$;

create function value_changes(samples float8[]) returns bigint
language plpgsql immutable parallel safe as $$
declare
  value float8; before float8 := samples[1]; found bigint := 0;
begin
  foreach value in array samples loop
    found := found + case when value <> before then 1 else 0 end;
    before := value;
  end loop;
  return found;
end
$$;

-- What resets add to last - first of a run of parts: the value before each drop, and what resets
-- inside the parts add. A sample is a part with the same first and last. `small` and `large` are the
-- two parts of a sum that can't overflow (migration 0080).
create function increase_by_resets(first float8[], last float8[], inside float8[]) returns float8
language plpgsql immutable parallel safe as $$
declare
  number int; value float8; small float8 := 0; large float8 := 0;
begin
  for number in 1 .. cardinality(first) loop
    if number > 1 and first[number] < last[number - 1] and last[number - 1] <> 'NaN' then
      value := last[number - 1];
      if value > -1e290 and value < 1e290 then
        small := small + value;
      else
        large := large + value / 18446744073709551616;
      end if;
    end if;
    value := inside[number];
    if value > -1e290 and value < 1e290 then
      small := small + value;
    elsif value is not null then
      large := large + value / 18446744073709551616;
    end if;
  end loop;
  if large = 0 then
    return small;
  elsif large in ('Infinity'::float8, '-Infinity'::float8, 'NaN'::float8) then
    return large;
  end if;
  large := large + case when abs(small) >= 1e200 then small / 18446744073709551616 else 0 end;
  if abs(large) > 1.7976931348623157e308::float8 / 18446744073709551616 then
    return sign(large) * 'Infinity'::float8;
  end if;
  return large * 18446744073709551616;
end
$$;

-- The same of samples that are within ±1e290.
create function increase_by_resets(samples float8[]) returns float8
language plpgsql immutable parallel safe as $$
declare
  value float8; before float8; found float8 := 0;
begin
  foreach value in array samples loop
    found := found + case when value < before then before else 0 end;
    before := value;
  end loop;
  return found;
end
$$;

create function counter_resets(first float8[], last float8[]) returns bigint
language sql immutable parallel safe as $$
  select count(*) from generate_series(2, cardinality(first)) n
  where first[n] < last[n - 1] and last[n - 1] <> 'NaN'
$$;

create function value_changes(first float8[], last float8[]) returns bigint
language sql immutable parallel safe as $$
  select count(*) from generate_series(2, cardinality(first)) n where first[n] <> last[n - 1]
$$;

-- The sum of squared deviations from the mean of all, of parts with their own means and deviations.
-- `deviations` null: of samples. No step raises: numbers above 1e140 are divided by 2^600, and what
-- is too small to be squared is left out.
create function squared_deviations(counts float8[], means float8[], deviations float8[])
returns float8 language plpgsql immutable parallel safe as $$
declare
  number int; count float8 := 1; total float8 := 0; mean float8 := 0; shift float8 := 0;
  distance float8; found float8 := 0; inside float8 := 0; unit float8 := 1;
begin
  for number in 1 .. cardinality(means) loop
    if abs(means[number]) in ('Infinity'::float8, 'NaN'::float8) then
      return 'NaN';
    elsif abs(means[number]) >= 1e140 then
      unit := 2::float8 ^ 600;
    end if;
    if deviations[number] > 8e307 or inside > 8e307 then
      return deviations[number] + 'Infinity'::float8;
    end if;
    inside := inside + coalesce(deviations[number], 0);
  end loop;
  if unit > 1 then
    for number in 1 .. cardinality(means) loop
      means[number] := case when abs(means[number]) < 1e-100 then 0 else means[number] / unit end;
    end loop;
  end if;
  for number in 1 .. cardinality(means) loop
    count := coalesce(counts[number], 1);
    total := total + count;
    mean := mean + count * means[number];
  end loop;
  mean := case when abs(mean) < 1e-290 then 0 else mean / total end;
  for number in 1 .. cardinality(means) loop
    shift := shift + coalesce(counts[number], 1) * (means[number] - mean);
  end loop;
  -- What rounding has left in the mean.
  mean := mean + case when abs(shift) < 1e-290 then 0 else shift / total end;
  for number in 1 .. cardinality(means) loop
    distance := means[number] - mean;
    if abs(distance) > 1e-150 then
      found := found + coalesce(counts[number], 1) * distance * distance;
    end if;
  end loop;
  if unit > 1 then
    found := case when found > 2::float8 ^ -177 then 'Infinity' else found * unit * unit end;
  end if;
  return case when found > 8e307 then 'Infinity' else found + inside end;
end
$$;

-- The rollups, made anew ------------------------------------------------------------
-- A continuous aggregate can't be given columns. New ones take the names of those before.
alter materialized view metrics_1hour rename to metrics_1hour_before_0200;
alter materialized view metrics_1min rename to metrics_1min_before_0200;

create materialized view metrics_1min
with (timescaledb.continuous, timescaledb.materialized_only = false) as
select
  time_bucket(interval '1 minute', time) as bucket,
  series_id,
  float8_average(
    sum(value) filter (where value > -1e290 and value < 1e290),
    sum(value / 18446744073709551616) filter (where not (value > -1e290 and value < 1e290)),
    count(value)::float8) as avg_value,
  min(value) as min_value,
  max(value) as max_value,
  float8_total(
    sum(value) filter (where value > -1e290 and value < 1e290),
    sum(value / 18446744073709551616) filter (where not (value > -1e290 and value < 1e290))
  ) as sum_value,
  count(value) as sample_count,
  first(value, time) as first_value,
  last(value, time) as last_value,
  min(time) as first_time,
  max(time) as last_time,
  case
    when min(value) = max(value) then 0
    when min(value) > -1e290 and max(value) < 1e290
      then increase_by_resets(array_agg(value order by time))
    else increase_by_resets(
      array_agg(value order by time), array_agg(value order by time), null)
  end as increase_by_resets,
  case
    when min(value) = max(value) then 0
    else counter_resets(array_agg(value order by time))
  end as resets,
  case
    when min(value) = max(value) then 0
    else value_changes(array_agg(value order by time))
  end as changes,
  case
    when min(value) = max(value) and abs(max(value)) < 'Infinity' then 0
    -- Of values that are large beside their differences PostgreSQL's own loses digits.
    when min(value) > -1e140 and max(value) < 1e140
      and sqrt(var_pop(value) filter (where value > -1e140 and value < 1e140)) * 10000
        > greatest(abs(min(value)), abs(max(value)))
      then var_pop(value) filter (where value > -1e140 and value < 1e140) * count(value)
    else squared_deviations(null, array_agg(value order by time), null)
  end as squared_deviations
from metrics_raw
group by bucket, series_id
with no data;

create materialized view metrics_1hour
with (timescaledb.continuous, timescaledb.materialized_only = false) as
select
  time_bucket(interval '1 hour', bucket) as bucket,
  series_id,
  float8_average(
    sum(sum_value) filter (where sum_value > -1e290 and sum_value < 1e290),
    sum(float8_large_part(sum_value, avg_value, sample_count::float8))
      filter (where not (sum_value > -1e290 and sum_value < 1e290)),
    sum(sample_count)::float8) as avg_value,
  min(min_value) as min_value,
  max(max_value) as max_value,
  float8_total(
    sum(sum_value) filter (where sum_value > -1e290 and sum_value < 1e290),
    sum(sum_value / 18446744073709551616)
      filter (where not (sum_value > -1e290 and sum_value < 1e290))
  ) as sum_value,
  sum(sample_count)::bigint as sample_count,
  first(first_value, bucket) as first_value,
  last(last_value, bucket) as last_value,
  case when bool_and(first_time is not null) then min(first_time) end as first_time,
  case when bool_and(first_time is not null) then max(last_time) end as last_time,
  case when bool_and(first_time is not null) then increase_by_resets(
    array_agg(first_value order by bucket),
    array_agg(last_value order by bucket),
    array_agg(increase_by_resets order by bucket))
  end as increase_by_resets,
  case when bool_and(first_time is not null) then sum(resets)::bigint + counter_resets(
    array_agg(first_value order by bucket), array_agg(last_value order by bucket))
  end as resets,
  case when bool_and(first_time is not null) then sum(changes)::bigint + value_changes(
    array_agg(first_value order by bucket), array_agg(last_value order by bucket))
  end as changes,
  case when bool_and(first_time is not null) then squared_deviations(
    array_agg(sample_count::float8 order by bucket),
    array_agg(avg_value order by bucket),
    array_agg(squared_deviations order by bucket))
  end as squared_deviations
from metrics_1min
group by 1, series_id
with no data;

-- The look-back stays below raw's retention: a refresh would erase what raw has dropped.
select add_continuous_aggregate_policy('metrics_1min',
  start_offset => interval '6 days 12 hours',
  end_offset => interval '1 minute',
  schedule_interval => interval '1 minute');
select add_continuous_aggregate_policy('metrics_1hour',
  start_offset => interval '8 days',
  end_offset => interval '1 hour',
  schedule_interval => interval '1 hour');
select add_retention_policy('metrics_1min', drop_after => interval '30 days');
select add_retention_policy('metrics_1hour', drop_after => interval '365 days');

-- In the columnstore a row's neighbours are those of its series, for which these tiers are read. A
-- chunk goes there whole, some hours after it closed: a sample that is three hours late, as relays
-- send them, unpacks nothing.
do $do$
declare
  rollup record;
begin
  for rollup in
    select v.name, v.chunk, format('%I.%I',
      a.materialization_hypertable_schema, a.materialization_hypertable_name) as stored
    from (values
      ('metrics_1min', interval '4 hours'), ('metrics_1hour', interval '5 days')
    ) as v (name, chunk)
    join timescaledb_information.continuous_aggregates a
      on a.view_name = v.name and a.view_schema = current_schema
  loop
    perform set_chunk_time_interval(rollup.stored::regclass, rollup.chunk);
    execute format('alter materialized view %I set (timescaledb.enable_columnstore = true,'
      ' timescaledb.segmentby = ''series_id'', timescaledb.orderby = ''bucket'')', rollup.name);
    -- The index on bucket alone made reads of few series visit the rows of all. What a refresh
    -- deletes lies together.
    execute format('drop index %s', (
      select indexrelid::regclass from pg_index
      where indrelid = rollup.stored::regclass and indnatts = 1));
    execute format('create index on %I using brin (bucket)'
      ' with (pages_per_range = 16, autosummarize = on)', rollup.name);
  end loop;
end
$do$;
select add_compression_policy('metrics_1min', compress_after => interval '4 hours',
  schedule_interval => interval '30 minutes');
select add_compression_policy('metrics_1hour', compress_after => interval '12 hours',
  schedule_interval => interval '12 hours');

-- The rows of before ------------------------------------------------------------------
-- Weeks of rows take longer to move than a migration may last. Until `maintain` has moved them,
-- newest first, the views read those before `before` where they are. What raw samples still cover is
-- computed again instead; in the other rows the columns from first_time on stay null.
create table rollup_moves (
  rollup text primary key,
  source text not null,
  definition text not null,
  before timestamptz not null
);
comment on column rollup_moves.source is 'the table that rows come from';
comment on column rollup_moves.definition is 'the view when nothing is left to move';

create function set_rollup_boundary(name text, boundary timestamptz) returns void
language plpgsql as $$
declare
  move record;
begin
  update rollup_moves set before = boundary where rollup = name returning * into strict move;
  execute format('create or replace rule "_RETURN" as on select to %I do instead'
    ' select * from (%s) moved where bucket >= %L::timestamptz'
    ' union all select bucket, series_id, avg_value, min_value, max_value, sum_value,'
    ' sample_count, first_value, last_value, null::timestamptz, null::timestamptz,'
    ' null::double precision, null::bigint, null::bigint, null::double precision'
    ' from %s where bucket < %L::timestamptz',
    name, move.definition, boundary, move.source, boundary);
end
$$;

create function end_rollup_move(name text) returns void
language plpgsql as $$
declare
  move record;
begin
  delete from rollup_moves where rollup = name returning * into strict move;
  execute format('create or replace rule "_RETURN" as on select to %I do instead %s',
    name, move.definition);
end
$$;

do $do$
declare
  rollup text;
  old record;
  rows boolean;
  any_rows boolean := false;
begin
  foreach rollup in array array['metrics_1hour', 'metrics_1min'] loop
    select format('%I.%I', h.schema_name, h.table_name) as stored, h.id into old
    from timescaledb_information.continuous_aggregates a
    join _timescaledb_catalog.hypertable h
      on h.schema_name = a.materialization_hypertable_schema
      and h.table_name = a.materialization_hypertable_name
    where a.view_name = rollup || '_before_0200' and a.view_schema = current_schema;
    execute format('select exists (select from %s)', old.stored) into rows;
    any_rows := any_rows or rows;
    if any_rows then
      perform remove_continuous_aggregate_policy(rollup || '_before_0200', if_exists => true);
      perform remove_retention_policy(rollup || '_before_0200', if_exists => true);
      insert into rollup_moves values (
        rollup, replace(old.stored, '"', ''), rtrim(pg_get_viewdef(rollup::regclass), ';'), 'infinity');
      -- From there on the rows before are not complete.
      perform set_rollup_boundary(rollup,
        coalesce(_timescaledb_functions.to_timestamp(
          _timescaledb_functions.cagg_watermark(old.id)), now()));
    else
      execute format('drop materialized view %I', rollup || '_before_0200');
    end if;
  end loop;
end
$do$;
