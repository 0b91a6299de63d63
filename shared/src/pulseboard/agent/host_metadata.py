"""Unit and description of each metric of the host. Units are UCUM's, as OpenTelemetry has them."""

UNITS_AND_TEXTS = {
    "cpu_usage_percent": ("%", "Time in which the processors were busy."),
    "cpu_mode_percent": ("%", "Time that the processors spent in each mode."),
    "cpu_core_usage_percent": ("%", "Time in which each core was busy."),
    "cpu_count": ("1", "Logical processors."),
    "load_1": ("1", "Processes that run or wait, mean of a minute."),
    "load_5": ("1", "Processes that run or wait, mean of five minutes."),
    "load_15": ("1", "Processes that run or wait, mean of fifteen minutes."),
    "memory_used_percent": ("%", "Memory that is not available."),
    "memory_used_bytes": ("By", "Memory in use, without caches."),
    "memory_available_bytes": ("By", "Memory that can be had without swapping."),
    "memory_total_bytes": ("By", "Memory of the host."),
    "memory_cached_bytes": ("By", "Memory that caches files."),
    "swap_used_percent": ("%", "Swap in use."),
    "disk_used_percent": ("%", "Space in use on each file system."),
    "disk_used_bytes": ("By", "Space in use on each file system."),
    "disk_total_bytes": ("By", "Space of each file system."),
    "disk_read_bytes_per_second": ("By/s", "Read from all disks."),
    "disk_write_bytes_per_second": ("By/s", "Written to all disks."),
    "network_receive_bytes_per_second": ("By/s", "Received by each interface."),
    "network_transmit_bytes_per_second": ("By/s", "Sent by each interface."),
    "uptime_seconds": ("s", "Time since the host started."),
    "process_count": ("1", "Processes of the host."),
    "temperature_celsius": ("Cel", "Temperature of each sensor."),
}
"""All are gauges."""
