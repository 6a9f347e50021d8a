"""Turns a document's data into a PDF, in a process of its own: `python typesetting.py`, data in, PDF out.

Typesetting takes a processor for a second and some hundred megabytes that it keeps; here both end with it. The process
gets no environment, yields to whoever else wants the processor, and ends when it takes too long.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import sys

import typst

PROCESSOR_LIMIT_S = 40
YIELDING = 3
# For archives (ISO 19005-2, every glyph and its meaning embedded) and for screen readers (ISO 14289-1).
STANDARDS = ["a-2a", "ua-1"]


def main() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_LIMIT_S, PROCESSOR_LIMIT_S))
    os.nice(YIELDING)
    order = json.load(sys.stdin.buffer)
    sys.stdout.buffer.write(typeset(order["template"], order["fonts"], order["data"]))


def typeset(template: str, fonts: list[str], data: str) -> bytes:
    """With the fonts that we bring. Scripts that none of them has are set in what the machine has; where that has none
    either, their places stay empty boxes, which no standard allows."""
    for more_fonts, standards in ((False, STANDARDS), (True, STANDARDS)):
        with contextlib.suppress(typst.TypstError):
            return _compiled(template, fonts, data, more_fonts, standards)
    return _compiled(template, fonts, data, True, [])


def _compiled(template: str, fonts: list[str], data: str, more_fonts: bool, standards: list[str]) -> bytes:
    pdf: bytes = typst.compile(
        template,
        format="pdf",
        font_paths=fonts,
        ignore_system_fonts=not more_fonts,
        sys_inputs={"data": data},
        pdf_standards=standards,
        timestamp=0,
    )
    return pdf


if __name__ == "__main__":
    main()
