-- How often the series of a metric are sent, in seconds, and when that was measured. Null until
-- it is known. Steps, windows and look-backs of queries depend on it.
alter table metric_definitions
  add column sample_interval double precision,
  add column interval_measured_at timestamptz;
