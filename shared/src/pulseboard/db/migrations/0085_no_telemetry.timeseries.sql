-- TimescaleDB reports to its maker once a day. Here nothing is reported, and the job is not monitored.
do $$
begin
  perform alter_job(job_id, scheduled => false)
  from timescaledb_information.jobs where proc_name = 'policy_telemetry';
exception when insufficient_privilege then
  raise notice 'the telemetry job belongs to another role: set timescaledb.telemetry_level = off';
end $$;
