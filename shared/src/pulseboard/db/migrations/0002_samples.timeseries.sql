-- Raw samples ---------------------------------------------------------------
create table metrics_raw (
  time timestamptz not null,
  series_id integer not null,
  value double precision not null
);
select create_hypertable('metrics_raw', by_range('time', interval '4 hours'),
  create_default_indexes => false);
create unique index metrics_raw_series_time on metrics_raw (series_id, time desc);
alter table metrics_raw set (
  timescaledb.enable_columnstore = true,
  timescaledb.segmentby = 'series_id',
  timescaledb.orderby = 'time desc'
);
-- A chunk goes to the columnstore whole: 4 hours of chunk and 2 hours after it closed.
select add_compression_policy('metrics_raw', compress_after => interval '6 hours');
select add_retention_policy('metrics_raw', drop_after => interval '7 days');

-- Minutes -------------------------------------------------------------------
create materialized view metrics_1min
with (timescaledb.continuous, timescaledb.materialized_only = false) as
select
  time_bucket(interval '1 minute', time) as bucket,
  series_id,
  avg(value) as avg_value,
  min(value) as min_value,
  max(value) as max_value,
  sum(value) as sum_value,
  count(value) as sample_count,
  first(value, time) as first_value,
  last(value, time) as last_value
from metrics_raw
group by bucket, series_id
with no data;
-- The look-back stays below raw's retention: a refresh would erase what raw has dropped.
select add_continuous_aggregate_policy('metrics_1min',
  start_offset => interval '6 days 12 hours',
  end_offset => interval '1 minute',
  schedule_interval => interval '1 minute');
select add_retention_policy('metrics_1min', drop_after => interval '30 days');

-- Hours ---------------------------------------------------------------------
create materialized view metrics_1hour
with (timescaledb.continuous, timescaledb.materialized_only = false) as
select
  time_bucket(interval '1 hour', bucket) as bucket,
  series_id,
  sum(sum_value) / sum(sample_count) as avg_value,
  min(min_value) as min_value,
  max(max_value) as max_value,
  sum(sum_value) as sum_value,
  sum(sample_count)::bigint as sample_count,
  first(first_value, bucket) as first_value,
  last(last_value, bucket) as last_value
from metrics_1min
group by 1, series_id
with no data;
select add_continuous_aggregate_policy('metrics_1hour',
  start_offset => interval '8 days',
  end_offset => interval '1 hour',
  schedule_interval => interval '1 hour');
select add_retention_policy('metrics_1hour', drop_after => interval '365 days');

-- The flat shape, for people who write SQL ----------------------------------
create view metric_points as
select r.time, s.metric_id, r.value, s.tags
from metrics_raw r join metric_series s on s.id = r.series_id;
