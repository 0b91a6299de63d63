-- Series of many tags: above 500 bytes their hash is the key, as an index takes no longer ones.
update alert_state
set series = 'sha256:' || encode(sha256(convert_to(series, 'UTF8')), 'hex')
where octet_length(series) > 500;
update alert_events
set series = 'sha256:' || encode(sha256(convert_to(series, 'UTF8')), 'hex')
where octet_length(series) > 500 and status = 'firing';
