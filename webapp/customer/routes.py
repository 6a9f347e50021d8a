"""Everything under a customer's link: importing this is what puts it on the blueprint."""

from __future__ import annotations

from webapp.customer import bills
from webapp.customer.blueprint import customer

__all__ = ["bills", "customer"]
