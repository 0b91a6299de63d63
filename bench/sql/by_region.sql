-- 100 series × 6 h, average by region of each minute. Served by the (series_id, bucket) index.
select s.tags->>'region' as line, extract(epoch from r.bucket)::float8 as t,
  sum(r.sum_value) / sum(r.sample_count) as v
from metrics_1min r
join metric_series s on s.id = r.series_id
where r.series_id = any(array(
    select s.id from metric_series s join metric_definitions d on d.id = s.metric_id
    where d.name = 'fleet_cpu'
  ))
  and r.bucket >= to_timestamp(%(start)s) and r.bucket < to_timestamp(%(end)s)
group by 1, 2
