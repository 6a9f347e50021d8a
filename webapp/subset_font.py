"""Makes the font that pages load from the one that is installed: `python -m webapp.subset_font`

Latin, Greek, Cyrillic, currencies and the signs of figures, in one optical size. Other scripts come from the reader's
own fonts. Without it pages load the whole font, which is larger and looks the same.
"""

from __future__ import annotations

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont
from fontTools.varLib.instancer import instantiateVariableFont

from webapp.assets import SUBSET_FONT, inter

CHARACTERS = (
    range(0x20, 0x250),  # Latin
    range(0x370, 0x530),  # Greek, Cyrillic
    range(0x1E00, 0x1F00),  # Latin with more marks
    range(0x2000, 0x2070),  # dashes, quotation marks, narrow spaces
    range(0x20A0, 0x20C1),  # currencies
    range(0x2190, 0x2194),  # arrows
    (0x2116, 0x2122, 0x2212, 0x2215, 0x2248, 0x2260, 0x2264, 0x2265, 0x2713, 0x2717, 0xFFFD),
)
FEATURES = ["calt", "case", "ccmp", "cv11", "kern", "locl", "mark", "mkmk", "ss03", "tnum", "zero"]
OPTICAL_SIZE = 14


def main() -> None:
    font = TTFont(inter())
    options = Options(layout_features=FEATURES, flavor="woff2", desubroutinize=True, name_IDs=[0, 1, 2, 13, 14])
    subsetter = Subsetter(options)
    subsetter.populate(unicodes=[code for codes in CHARACTERS for code in codes])
    subsetter.subset(font)
    instantiateVariableFont(font, {"opsz": OPTICAL_SIZE, "wght": (400, 700)}, inplace=True)
    font.flavor = "woff2"
    SUBSET_FONT.parent.mkdir(parents=True, exist_ok=True)
    unfinished = SUBSET_FONT.with_suffix(".part")
    font.save(unfinished)
    unfinished.replace(SUBSET_FONT)


if __name__ == "__main__":
    main()
