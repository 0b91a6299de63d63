-- Which types there are is the contract's business, which checks them: a new one needs no migration.
alter table panels drop constraint if exists panels_type_check;

-- The file that a dashboard was imported from, and what became of its parts.
create table dashboard_imports (
  dashboard_id uuid primary key references dashboards on delete cascade,
  source jsonb not null,
  report jsonb not null,
  imported_at timestamptz not null default now()
);
