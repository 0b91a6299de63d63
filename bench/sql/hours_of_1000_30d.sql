-- A thousand series over thirty days of hours.
with wanted as (
  select s.id, d.name || (s.tags ->> 'host') as line
  from metric_series s join metric_definitions d on d.id = s.metric_id
  where d.name = 'bench_wide'
)
select w.line, date_part('epoch', slot) as slot, value
from (
  select series_id, time_bucket('6 hours', bucket, 'epoch'::timestamptz) as slot,
    sum(sum_value) / sum(sample_count) as value
  from metrics_1hour
  where series_id = any(array(select id from wanted))
    and bucket >= %(start)s and bucket < %(end)s
  group by 1, 2
) each join wanted w on w.id = each.series_id
