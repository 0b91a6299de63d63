-- What each receiver has been notified of: one row for each rule and receiver, as Alertmanager's
-- notification log. Notifications are rendered from the newest states when they are sent.
create table alert_notified (
  -- Both outlive the rule and the channel: what was notified as firing is notified as resolved.
  rule_id uuid not null,
  receiver_key text not null,
  receiver jsonb not null,
  channel_name text not null default '',
  rule jsonb not null,
  alerts jsonb not null default '{}',
  notified_at timestamptz,
  incomplete boolean not null default false,
  claim_id uuid,
  claim jsonb,
  claimed_until timestamptz,
  attempts integer not null default 0,
  next_attempt_at timestamptz not null default '-infinity',
  last_error text,
  delivery_id uuid,
  primary key (rule_id, receiver_key)
);
create index alert_notified_claim on alert_notified (claim_id) where claim_id is not null;
create index alert_notified_receiver on alert_notified (receiver_key) where attempts > 0;
create index alert_state_firing on alert_state (rule_id) where status = 'firing';

-- Channels that were written inside a rule become saved ones, and rules name channels by id.
alter table alert_channels add column made_by_rule boolean not null default false;
do $$
declare
  one record;
  base text;
  chosen text;
  number integer;
begin
  for one in
    select distinct c as config from alert_rules r
    cross join lateral jsonb_array_elements(coalesce(r.notification -> 'channels', '[]')) as x (c)
    where c ->> 'type' <> 'saved'
      and not exists (select from alert_channels k where k.config = c)
  loop
    base := left(trim((one.config ->> 'type') || ' ' || coalesce(
      case when one.config ->> 'type' = 'webhook'
        then substring(one.config ->> 'url' from '^https?://([^/?#]+)') end,
      one.config -> 'to' ->> 0, '')), 150);
    chosen := base;
    number := 1;
    while exists (select from alert_channels where name = chosen) loop
      number := number + 1;
      chosen := base || ' ' || number;
    end loop;
    insert into alert_channels (name, config, made_by_rule) values (chosen, one.config, true);
  end loop;
end
$$;

-- What receivers believe, before rules lose the channels as they were. Served by scans, once.
-- A notification that was never sent leaves open what its receiver believes: it counts as
-- possibly notified (not `sure`), and the newest state is sent again.
insert into alert_notified (rule_id, receiver_key, receiver, channel_name, rule, alerts,
  notified_at)
select w.rule_id, 'old:' || md5(w.config::text), w.config, w.channel_name, w.rule,
  jsonb_object_agg(w.alert_key, w.alert), max(w.told_at)
from (
  select r.id as rule_id, coalesce(k.config, c) as config, coalesce(k.name, '') as channel_name,
    jsonb_build_object('name', r.name, 'severity', r.severity, 'threshold', r.threshold,
      'labels', r.labels, 'message', r.message, 'runbook_url', r.runbook_url) as rule,
    md5((s.tags || r.labels || jsonb_build_object('alertname', r.name, 'severity', r.severity))
      ::text) as alert_key,
    jsonb_build_object('series', s.series, 'tags', s.tags,
      'labels', s.tags || r.labels
        || jsonb_build_object('alertname', r.name, 'severity', r.severity),
      'started', extract(epoch from coalesce(s.fired_at, s.since)),
      'event_id', s.event_id, 'at', extract(epoch from s.notified_at),
      'sure', not exists (
        select from alert_outbox o
        where o.rule_id = r.id and o.channel = c and o.sent_at is null
      )) as alert,
    g.told_at
  from alert_state s
  join alert_rules r on r.id = s.rule_id
  left join alert_groups g on g.rule_id = r.id
  cross join lateral jsonb_array_elements(coalesce(r.notification -> 'channels', '[]')) as x (c)
  left join alert_channels k on c ->> 'type' = 'saved' and k.name = c ->> 'name'
  where s.notified_at is not null and (c ->> 'type' <> 'saved' or k.id is not null)
) as w
group by w.rule_id, w.config, w.channel_name, w.rule;

-- What waits to be sent for a rule, an alert or a channel that is not there any more.
insert into alert_notified (rule_id, receiver_key, receiver, channel_name, rule, alerts)
select w.rule_id, 'old:' || md5(w.config::text), w.config, w.channel_name,
  (array_agg(w.rule order by w.seq desc))[1], jsonb_object_agg(w.alert_key, w.alert)
from (
  select o.rule_id, o.seq, coalesce(k.config, o.channel) as config,
    coalesce(k.name, '') as channel_name,
    jsonb_build_object('name', o.payload -> 'rule_name', 'severity', o.payload -> 'severity',
      'threshold', o.payload -> 'threshold', 'labels', o.payload -> 'labels',
      'message', o.payload -> 'message',
      'runbook_url', coalesce(o.payload -> 'runbook_url', '""')) as rule,
    md5(((a -> 'tags') || (o.payload -> 'labels') || jsonb_build_object('alertname',
      o.payload -> 'rule_name', 'severity', o.payload -> 'severity'))::text) as alert_key,
    jsonb_build_object('series', '', 'tags', a -> 'tags',
      'labels', (a -> 'tags') || (o.payload -> 'labels') || jsonb_build_object('alertname',
        o.payload -> 'rule_name', 'severity', o.payload -> 'severity'),
      'started', a -> 'started', 'event_id', null, 'at', 0, 'sure', false) as alert
  from alert_outbox o
  cross join lateral jsonb_array_elements(o.payload -> 'alerts') as x (a)
  left join alert_channels k
    on o.channel ->> 'type' = 'saved' and k.name = o.channel ->> 'name'
  where o.rule_id is not null and o.sent_at is null and o.dead_at is null
    and (o.channel ->> 'type' <> 'saved' or k.id is not null)
) as w
group by w.rule_id, w.config, w.channel_name
on conflict (rule_id, receiver_key) do update
set alerts = excluded.alerts || alert_notified.alerts;

-- The log has taken these over.
delete from alert_outbox where rule_id is not null and sent_at is null and dead_at is null;

update alert_rules r set notification = jsonb_set(r.notification, '{channels}', (
  select coalesce(jsonb_agg(distinct jsonb_build_object('type', 'saved', 'id', k.id)), '[]')
  from jsonb_array_elements(r.notification -> 'channels') as x (c)
  join alert_channels k
    on k.name = c ->> 'name' and c ->> 'type' = 'saved'
    or k.config = c and c ->> 'type' <> 'saved'
))
where jsonb_typeof(r.notification -> 'channels') = 'array';

update alert_ticks set rules_stamp = gen_random_uuid();
