"""The table of who may use which route: as the routes declare it, and as `docs/access.md` has it.

.venv/bin/python -m tests.support.access_table    # writes docs/access.md anew
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from flask import Flask

from billing.settings import Settings
from webapp.app import create_app
from webapp.config import Config
from webapp.identity import access
from webapp.identity.access import API, PUBLIC
from webapp.identity.roles import Role
from webapp.identity.scopes import MEANING, OF_ROLE, Scope

FILE = Path(__file__).resolve().parents[2] / "docs" / "access.md"
ITS_OWN = "; for its own: "
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

INTRODUCTION = """# Who may use which route

Made from what the routes declare (`webapp/identity/access.py`), by `.venv/bin/python -m tests.support.access_table`;
`tests/webapp/identity/test_access_table.py` asks every route as every kind of caller and compares. Each declares one of

- `public`: everybody; a customer's link is what its address says, under `/b/`;
- a role of staff who are signed in, each including the ones before it: `viewer`, `operator`, `admin`;
- a scope of an API key, none including another. Without it the answer is 403, `scope_missing`. Where a second one is
  named, that suffices for what keys of the same name asked for; what others did is 404.

A key that is bound to customers is let in where its column says `yes`, to what is theirs: another customer's bill is
404 like one that isn't there, lists and exports are kept to its own. Elsewhere the answer is 403, `key_bound`.
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """`needed` is `public`, a role or a scope; `its_own` a scope that suffices for what the caller's own account made.
    `takes_bound` is None where no API key is let in."""

    method: str
    rule: str
    needed: Role | Scope | str
    takes_bound: bool | None
    its_own: Scope | None = None

    @property
    def is_api(self) -> bool:
        return isinstance(self.needed, Scope)

    def __str__(self) -> str:
        bound = {None: "", True: "yes", False: "no"}[self.takes_bound]
        who = f"{self.needed}{ITS_OWN}{self.its_own}" if self.its_own else self.needed
        return f"| {self.method} | `{self.rule}` | {who} | {bound} |"


def declared(app: Flask) -> list[Entry]:
    """As the routes say."""
    found = []
    for rule in app.url_map.iter_rules():
        needed = access.declared(app, rule.endpoint)
        assert needed is not None, rule
        bound = access.takes_bound_keys(app, rule.endpoint) if isinstance(needed, Scope) else None
        its_own = access.declared_for_its_own(app, rule.endpoint)
        methods = [method for method in METHODS if method in (rule.methods or ())]
        found += [Entry(method, rule.rule, needed, bound, its_own) for method in methods]
    return sorted(found, key=lambda entry: (entry.rule.startswith(f"/{API}/"), entry.rule, METHODS.index(entry.method)))


def documented() -> list[Entry]:
    """As the file says."""
    lines = (line for line in FILE.read_text(encoding="utf-8").splitlines() if line.startswith("|"))
    cells = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    return [_entry(*row) for row in cells if row[0] in METHODS]


def _entry(method: str, rule: str, needed: str, bound: str) -> Entry:
    kinds: tuple[type[Role | Scope], ...] = (Role, Scope)
    known: dict[str, Role | Scope | str] = {one: one for kind in kinds for one in kind}
    known[PUBLIC] = PUBLIC
    whole, _, own = needed.partition(ITS_OWN)
    takes_bound = {"": None, "yes": True, "no": False}[bound]
    return Entry(method, rule.strip("`"), known[whole], takes_bound, Scope(own) if own else None)


def written(entries: Iterable[Entry]) -> str:
    scopes = [f"| `{scope}` | {meaning} | {_roles_with(scope)} |" for scope, meaning in MEANING.items()]
    return "\n".join(
        [
            INTRODUCTION,
            "## Scopes\n",
            "| scope | opens | keys made for a role have it |",
            "|---|---|---|",
            *scopes,
            "\n## Routes\n",
            "| method | route | who | bound keys |",
            "|---|---|---|---|",
            *map(str, entries),
            "",
        ]
    )


def _roles_with(scope: Scope) -> str:
    return ", ".join(role for role in Role if scope in OF_ROLE[role])


if __name__ == "__main__":
    settings = Settings("postgresql://nobody@127.0.0.1:1/nothing", temporal_address="127.0.0.1:1")
    app = create_app(Config(settings, secret_key="to print a table, nothing is signed"))
    FILE.write_text(written(declared(app)), encoding="utf-8")
