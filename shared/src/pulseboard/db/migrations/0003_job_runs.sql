-- Where the database runs no background workers, `maintain` runs its jobs and notes it here:
-- run_job writes no statistics of its own.
create table job_runs (
  job_id integer primary key,
  started_at timestamptz not null,
  finished_at timestamptz,
  error text
);
