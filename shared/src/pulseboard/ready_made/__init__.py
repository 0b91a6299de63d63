"""Dashboards that come with Pulseboard, as files in its own format."""
