-- 1,000 series × 30 days, each hour's average by host of the series' averages.
select s.tags->>'host' as line, extract(epoch from r.bucket)::float8 + 3600 as t,
  avg(r.sum_value / r.sample_count) as v
from metrics_1hour r
join metric_series s on s.id = r.series_id
where r.series_id = any(array(
    select s.id from metric_series s join metric_definitions d on d.id = s.metric_id
    where starts_with(d.name, 'fleet_')
  ))
  and r.bucket >= to_timestamp(%(start)s - 3600) and r.bucket < to_timestamp(%(end)s)
group by 1, 2
