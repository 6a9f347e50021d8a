"""`pave audit`: whether the event log is what was sealed, the last seal to be kept elsewhere, and the log as a file."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TextIO
from uuid import UUID

import click

from billing.clock import rfc3339
from billing.ledger import audit_log, sealed_files, sealing, verification
from billing.ledger.audit_log import LogFilter
from billing.ledger.seals import Seal, packed_entry
from billing.ledger.verification import Known, Verdict
from cli.environment import engine
from webapp import audit_lines

_SEAL = re.compile(r"([1-9][0-9]{0,17}):([0-9a-f]{64})", re.ASCII)
TELL_EVERY = 1_000
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
DAY = click.DateTime(["%Y-%m-%d"])
LINES = {"csv": audit_lines.csv, "ndjson": audit_lines.ndjson}


class _Seal(click.ParamType):
    name = "N:HASH"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> Known:
        match = _SEAL.fullmatch(value.strip().lower())
        if match is None:
            self.fail(
                "a seal is a number, a colon and 64 hexadecimal digits, as `pave audit seal` prints it", param, ctx
            )
        return Known(int(match[1]), bytes.fromhex(match[2]))


@click.group()
def audit() -> None:
    """The event log, which workers seal by a chain of hashes."""


@audit.command()
@click.option("--seal", "known", type=_Seal(), help="A seal that was kept elsewhere, the later the better.")
@click.option(
    "--export", "exported", type=FILE, help="An export of all of the log: that is verified, not the database."
)
@click.option("--seals", type=FILE, help="With --export: the seals that were written beside it.")
@click.pass_context
def verify(context: click.Context, known: Known | None, exported: Path | None, seals: Path | None) -> None:
    """Compares every sealed event with its seal; exits with 1 at the first that differs, and names it.

    Without --seal it can't be seen that the end of the log was cut off together with its seals, nor that all of it was
    sealed anew by somebody who can write to the database.
    """
    if (exported is None) != (seals is None):
        raise click.UsageError("--export and --seals go together")
    if exported and seals:
        verdict = _of_files(exported, seals, known)
    else:
        verdict = verification.verify(engine(), known, heed=_tell)
    _report(verdict)
    if verdict.flaw is not None:
        context.exit(1)
    if known is not None:
        click.echo(f"seal {known.number} is the one that is known")


def _of_files(exported: Path, seals: Path, known: Known | None) -> Verdict:
    entries = (packed_entry(logged.event, logged.data) for logged in audit_lines.read(exported))
    try:
        with seals.open(encoding="utf-8") as heads:
            return sealed_files.verify(entries, heads, known)
    except ValueError as error:
        raise click.ClickException(str(error)) from error


def _tell(seal: Seal) -> None:
    if seal.number % TELL_EVERY == 0:
        click.echo(f"seal {seal.number:,} holds", err=True)


def _report(verdict: Verdict) -> None:
    if verdict.upto.number:
        upto = f"up to seal {verdict.upto.number} of {rfc3339(verdict.upto.sealed_at)}"
        click.echo(f"{_events(verdict.events)} as sealed, {upto}")
        click.echo(verdict.upto.name)
    else:
        click.echo("no seal holds" if verdict.flaw else "nothing is sealed yet")
    if verdict.flaw is not None:
        click.echo(f"FOUND: {verdict.flaw.sentence}")
    click.echo(f"{_events(verdict.unsealed)} not sealed yet")
    if verdict.is_copied:
        click.echo("a dump brought the log here: what happened since isn't sealed before `pave reconcile --repair`")
    for adopted_at in verdict.adopted_at:
        click.echo(f"a dump had brought the log here: put in order, it is sealed anew since {rfc3339(adopted_at)}")
    for began_at in verdict.restored_at:
        click.echo(
            f"the ledger was restored from a backup before {rfc3339(began_at)}: seals from in between went with it"
        )


def _events(count: int) -> str:
    return f"{count:,} event{'' if count == 1 else 's'}"


@audit.command("seal")
def print_seal() -> None:
    """Prints the last seal, to be kept where nobody who can write to the database can change it."""
    last = sealing.last(engine())
    if last is None:
        raise click.ClickException("nothing is sealed yet: a running worker does so every ten seconds")
    click.echo(last.name)
    click.echo(f"of {rfc3339(last.sealed_at)}", err=True)


@audit.command()
@click.option("--format", "format_", type=click.Choice(sorted(LINES)), default="ndjson", show_default=True)
@click.option("--subject", type=click.UUID, help="The id of a bill, a user, ...")
@click.option("--type", "type_", help="Such as bill.closed.")
@click.option("--actor", help="The name of who did it, in full.")
@click.option("--from", "since", type=DAY, help="From the beginning of this day of UTC.")
@click.option("--to", "until", type=DAY, help="To the end of this one.")
@click.option(
    "--seals", type=click.File("w", encoding="utf-8"), help="Where seals go: with them `verify --export` works."
)
def export(
    format_: str,
    subject: UUID | None,
    type_: str | None,
    actor: str | None,
    since: datetime | None,
    until: datetime | None,
    seals: TextIO | None,
) -> None:
    """Writes the log to standard output, newest first."""
    end = _utc(until)
    wanted = LogFilter(subject, type_, actor, _utc(since), end + timedelta(days=1) if end else None)
    if seals is not None:
        if wanted != LogFilter():
            raise click.UsageError("seals are over all of the log: --seals goes with no filter")
        # Before the events, so that all that is sealed is among these.
        seals.writelines(sealed_files.heads(engine()))
    for lines in LINES[format_](audit_log.in_batches(engine(), wanted)):
        sys.stdout.buffer.write(lines.encode())
    sys.stdout.buffer.flush()


def _utc(day: datetime | None) -> datetime | None:
    return day.replace(tzinfo=UTC) if day else None
