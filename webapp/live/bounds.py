"""How many streams there may be."""

from __future__ import annotations

import resource

# Of one process. Each takes a descriptor and some 8 KB, beside what the kernel holds.
MOST = 1_000
# Of one browser in one process: browsers open six connections a host, and the pages need some.
PER_SESSION = 2
# Of one customer link in one process: many may have it, and none of them all there is.
PER_LINK = 250


def most_streams() -> int:
    """At most half of the descriptors that the process may have: connections and the database need some too."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST if soft == resource.RLIM_INFINITY else min(MOST, soft // 2)
