-- 100 series × 1 h, average by host of each bucket. Served by metrics_raw_series_time.
select s.tags->>'host' as line, extract(epoch from e.slot)::float8 as t, e.v
from (
  select series_id, time_bucket(make_interval(secs => %(step)s), time) as slot, avg(value) as v
  from metrics_raw
  where series_id = any(array(
      select s.id from metric_series s join metric_definitions d on d.id = s.metric_id
      where d.name = 'fleet_cpu'
    ))
    and time >= to_timestamp(%(start)s) and time < to_timestamp(%(end)s)
  group by 1, 2
) e
join metric_series s on s.id = e.series_id
