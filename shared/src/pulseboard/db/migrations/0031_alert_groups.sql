-- When the channels of a rule were last told: its group interval begins then.
create table alert_groups (
  rule_id uuid primary key references alert_rules on delete cascade,
  told_at timestamptz not null
);

-- A resolved notice that waits for the group interval says when the alert began.
alter table alert_state add column fired_at timestamptz;
update alert_state set fired_at = since where status = 'firing';
