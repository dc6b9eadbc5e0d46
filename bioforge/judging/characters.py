"""Text as tokenizers take it. Light: it is on the way to the first answer."""

from __future__ import annotations

import re

_SURROGATES = re.compile(r"[\ud800-\udfff]")


def whole(text: str) -> str:
    """`text` with halves of characters, which have no UTF-8 form, replaced one for one, so that places stay."""
    return _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", text)
