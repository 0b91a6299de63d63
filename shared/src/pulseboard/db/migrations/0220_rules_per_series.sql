-- Rules that fire for each series that their expression returns: they have no threshold.
alter table alert_rules
  drop constraint alert_rules_condition_check,
  alter column threshold drop not null,
  add constraint alert_rules_condition_check
    check (condition in ('gt', 'gte', 'lt', 'lte', 'eq', 'ne', 'returned')),
  add constraint alert_rules_threshold_check
    check ((threshold is null) = (condition = 'returned'));
