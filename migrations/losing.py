"""Going back to tables that have no room for something: refused while there is any, unless it is asked for by name.

alembic -x lose=references,seals downgrade 0010
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op


class WouldBeLost(Exception):
    """The version before knows nothing of these."""


def refuse_to_lose(what: str, counted: str, consequence: str) -> None:
    """Raises WouldBeLost when the query `counted` finds any."""
    found = op.get_bind().execute(sa.text(counted)).scalar_one()
    if found and what not in context.get_x_argument(as_dictionary=True).get("lose", "").split(","):
        raise WouldBeLost(
            f"there are {what} ({found:,}): {consequence}. To go back all the same: alembic -x lose={what} downgrade"
        )
