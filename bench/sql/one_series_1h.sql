-- One series, an hour of raw samples by ten seconds.
with wanted as (
  select s.id, s.tags ->> 'host' as line
  from metric_series s join metric_definitions d on d.id = s.metric_id
  where d.name = 'bench_m0' and s.tags @> '{"host": "host-7"}'
)
select w.line, date_part('epoch', slot) as slot, value
from (
  select series_id, time_bucket('10 seconds', time) as slot, avg(value) as value
  from metrics_raw
  where series_id = any(array(select id from wanted)) and time >= %(start)s and time < %(end)s
  group by 1, 2
) each join wanted w on w.id = each.series_id
