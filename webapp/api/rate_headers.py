"""How a key stands with its limit, in each answer that it gets: draft-ietf-httpapi-ratelimit-headers-10.

`RateLimit-Policy: "key";q=20000;w=10` is the limit, `RateLimit: "key";r=19987;t=4` what is left and in how many seconds
it is whole again.
"""

from __future__ import annotations

from flask import Blueprint, Response, g

from webapp.identity.rate_limits import Standing

POLICY = "RateLimit-Policy"
LEFT = "RateLimit"


def register(api: Blueprint) -> None:
    @api.after_request
    def tell(response: Response) -> Response:
        standing: Standing | None = g.get("rate_standing")
        if standing is not None:
            limit = standing.limit
            response.headers[POLICY] = f'"key";q={limit.requests};w={limit.window_s}'
            response.headers[LEFT] = f'"key";r={standing.remaining};t={standing.reset_s}'
        return response
