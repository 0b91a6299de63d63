"""Datadog's series and sketches: from a request's body to a batch.

Series come as JSON of version 1 (points are `[seconds, value]`, the host a field) or 2 (points are
objects, the host a resource), or as the Agent's protocol buffers of version 2:

    MetricPayload  1 series*
    MetricSeries   1 resources*  2 metric  3 tags*  4 points*  5 type  6 unit  8 interval
    MetricPoint    1 value       2 timestamp (seconds)
    Resource       1 type        2 name

Both as columns of version 3 too: `version3.py`.

A gauge, a count and a rate are stored as they come, a sample a point; what the value is stands in
the metric's description. Distributions (Agent: sketches; JSON: a list of values at each time)
become the metrics `{name}.count`, `.sum`, `.min`, `.max` and `.avg`.
"""
