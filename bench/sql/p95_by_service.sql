-- 100 series × 24 h, 95th percentile by service of the newest value in each 5 minutes.
select s.tags->>'service' as line, extract(epoch from e.slot)::float8 + 300 as t,
  percentile_cont(0.95) within group (order by e.v) as v
from (
  select series_id, time_bucket('5 minutes', bucket) as slot, last(last_value, bucket) as v
  from metrics_1min
  where series_id = any(array(
      select s.id from metric_series s join metric_definitions d on d.id = s.metric_id
      where d.name = 'fleet_cpu'
    ))
    and bucket >= to_timestamp(%(start)s - 300) and bucket < to_timestamp(%(end)s)
  group by 1, 2
) e
join metric_series s on s.id = e.series_id
group by 1, 2
