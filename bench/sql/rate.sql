-- 100 counters × 1 h, rate over 5 minutes at each minute, as Prometheus defines it:
-- extrapolated, with resets. https://prometheus.io/docs/prometheus/latest/querying/functions/#rate
with sampled as (
  select series_id, extract(epoch from time)::float8 as t, value as v,
    lag(value) over (partition by series_id order by time) as before
  from metrics_raw
  where series_id = any(array(
      select s.id from metric_series s join metric_definitions d on d.id = s.metric_id
      where d.name = 'fleet_requests_total'
    ))
    and time > to_timestamp(%(start)s - 300) and time <= to_timestamp(%(end)s)
), bucketed as (
  select series_id, ceil(t / 60) * 60 as slot, count(*) as n,
    min(t) as t0, max(t) as t1, first(v, t) as v0, last(v, t) as v1,
    coalesce(sum(before) filter (where v < before), 0) as fell,
    coalesce(first(case when v < before then before end, t), 0) as fell_first
  from sampled
  group by 1, 2
), windowed as (
  select series_id, slot, sum(n) over w as n, min(t0) over w as t0, max(t1) over w as t1,
    last_value(v1) over w - first_value(v0) over w
      + sum(fell) over w - first_value(fell_first) over w as increase,
    first_value(v0) over w as v0
  from bucketed
  window w as (partition by series_id order by slot range between 240 preceding and current row)
), edges as (
  select *, (t1 - t0) / (n - 1) as gap, t0 - (slot - 300) as to_start, slot - t1 as to_end
  from windowed
  where n > 1 and slot >= %(start)s and slot <= %(end)s
)
select s.tags->>'host' as line, slot as t,
  increase * (
    (t1 - t0)
    + least(
        case when to_start < gap * 1.1 then to_start else gap / 2 end,
        case when increase > 0 and v0 >= 0 then (t1 - t0) * v0 / increase end)
    + case when to_end < gap * 1.1 then to_end else gap / 2 end
  ) / (t1 - t0) / 300 as v
from edges
join metric_series s on s.id = series_id
