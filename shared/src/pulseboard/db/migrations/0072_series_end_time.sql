-- To find the ends that are older than any sample without reading all of them.
create index series_end_time on series_end (time);
