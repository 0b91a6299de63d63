"""Grafana's classic dashboard JSON, converted to our own format with a report of every change.

The format: https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/
Boards of all schema versions since rows were lists (2015) are read; those in the newer resource
format (`apiVersion: dashboard.grafana.app/v2…`) are written as classic ones first.
"""
