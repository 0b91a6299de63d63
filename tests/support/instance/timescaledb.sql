-- The few things of TimescaleDB that the instance's own scripts call. Jobs succeed unless the file
-- /stub/jobs-fail is there, as with versions that do not fit each other.
create schema timescaledb_information;
create table timescaledb_information.jobs (job_id serial primary key, proc text);
create view timescaledb_information.job_stats as
  select job_id, (case when pg_stat_file('/stub/jobs-fail', true) is null then 1 else 0 end)::bigint as total_successes
  from timescaledb_information.jobs;
create function add_job(proc regproc, schedule_interval interval, initial_start timestamptz default null)
  returns integer language sql as
  'insert into timescaledb_information.jobs (proc) values (proc::text) returning job_id';
create function delete_job(id integer) returns void language sql as
  'delete from timescaledb_information.jobs where job_id = id';
