-- The last point of 1,000 series, not older than 5 minutes. Served by metrics_raw_series_time.
select d.name || ' ' || (s.tags->>'host') as line, %(end)s::float8 as t, newest.value as v
from metric_series s
join metric_definitions d on d.id = s.metric_id
cross join lateral (
  select value from metrics_raw r
  where r.series_id = s.id
    and r.time > to_timestamp(%(end)s - 300) and r.time <= to_timestamp(%(end)s)
  order by r.time desc limit 1
) newest
where starts_with(d.name, 'fleet_')
