"""The result cache: points that were read before are merged with those that are read now.

`key` names the Redis keys, `extents` holds what is known of a plan's points and merges it,
`store` reads and writes Redis, `invalidation` drops what late samples have changed.
"""
