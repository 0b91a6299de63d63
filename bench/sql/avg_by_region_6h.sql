-- A hundred series in four regions, six hours of minutes.
with wanted as (
  select s.id, s.tags ->> 'region' as line
  from metric_series s join metric_definitions d on d.id = s.metric_id
  where d.name = 'bench_m2'
)
select w.line, date_part('epoch', bucket) as slot,
  sum(sum_value) / sum(sample_count) as value
from metrics_1min m join wanted w on w.id = m.series_id
where m.series_id = any(array(select id from wanted))
  and m.bucket >= %(start)s and m.bucket < %(end)s
group by 1, 2
