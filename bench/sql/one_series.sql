-- One series × 1 h, average of each 10 s. Served by metrics_raw_series_time.
select '' as line, extract(epoch from time_bucket('10 seconds', time))::float8 as t, avg(value) as v
from metrics_raw
where series_id = (
    select s.id from metric_series s join metric_definitions d on d.id = s.metric_id
    where d.name = 'fleet_cpu' and s.tags @> '{"host": "host-007"}'
  )
  and time >= to_timestamp(%(start)s) and time < to_timestamp(%(end)s)
group by 2
