-- The newest point of a thousand series.
with wanted as (
  select s.id, d.name || (s.tags ->> 'host') as line
  from metric_series s join metric_definitions d on d.id = s.metric_id
  where d.name = 'bench_wide'
)
select w.line, date_part('epoch', %(start)s::timestamptz) as slot, last(m.value, m.time) as value
from metrics_raw m join wanted w on w.id = m.series_id
where m.series_id = any(array(select id from wanted))
  and m.time >= %(start)s and m.time < %(end)s
group by 1
