-- Which OpenTelemetry resource has the plain tags, of those with the same tags. `tags` are 16 bytes
-- over the tags, `resource` 8 over all attributes.
create table otlp_resources (
  tags bytea not null,
  resource bytea not null,
  plain boolean not null,
  seen_at timestamptz not null default now(),
  primary key (tags, resource)
);
create unique index otlp_resources_plain on otlp_resources (tags) where plain;

-- And which scope, of those that send the same metric for a resource: 8 bytes over each.
create table otlp_scopes (
  tags bytea not null,
  resource bytea not null,
  metric bytea not null,
  scope bytea not null,
  primary key (tags, resource, metric),
  foreign key (tags, resource) references otlp_resources on delete cascade
);

-- Whether each resource has its plain tags, in order. A resource that is not seen for `lease` loses
-- them to the next one, and does not get them back while that one sends.
create function claim_otlp_resources(p_tags bytea[], p_resources bytea[], lease interval)
returns boolean[] language plpgsql as $$
declare
  result boolean[] := '{}';
  has_plain boolean;
begin
  -- Claims are rare: once for a resource, and after a pause.
  perform pg_advisory_xact_lock(2300230);
  for n in 1 .. coalesce(array_length(p_tags, 1), 0) loop
    update otlp_resources set seen_at = now()
    where tags = p_tags[n] and resource = p_resources[n]
    returning plain into has_plain;
    if not found then
      update otlp_resources set plain = false
      where tags = p_tags[n] and plain and seen_at < now() - lease;
      has_plain := not exists (select from otlp_resources where tags = p_tags[n] and plain);
      insert into otlp_resources (tags, resource, plain)
      values (p_tags[n], p_resources[n], has_plain);
    end if;
    result := result || has_plain;
  end loop;
  return result;
end
$$;
