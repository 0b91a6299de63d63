-- Each state that a dashboard has had, newest kept up to a limit.
create table dashboard_versions (
  dashboard_id uuid not null references dashboards on delete cascade,
  version integer not null,
  document jsonb not null,
  author_id uuid references users on delete set null,
  change text not null,
  created_at timestamptz not null default now(),
  primary key (dashboard_id, version)
);

-- What a person marked or looked at, for the home page.
create table dashboard_visits (
  user_id uuid not null references users on delete cascade,
  dashboard_id uuid not null references dashboards on delete cascade,
  favourite boolean not null default false,
  viewed_at timestamptz,
  primary key (user_id, dashboard_id)
);
create index dashboard_visits_dashboard on dashboard_visits (dashboard_id);
