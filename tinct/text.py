"""Text that is shown to users, with names and tags that come from strangers' files."""

import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches


def escape_controls(text: str) -> str:
    r"""Return one line that cannot control a terminal or a page, such as "\x1b[2J" for an escape.

    Characters without a shape of their own are escaped as in Python's source, bytes of a file name
    that are no text too. Spaces stay.
    """
    if text.isprintable():
        return text
    return "".join(c if _is_shown(c) else repr(c)[1:-1] for c in text)


def _is_shown(character: str) -> bool:
    return character.isprintable() or unicodedata.category(character) == "Zs"


def suggest(found: str, values: Iterable[str]) -> str:
    """Return what the end of a message asks where `found` is nearly one of `values`, else ""."""
    by_name = {value.casefold(): value for value in values}
    near = get_close_matches(found.casefold(), by_name, n=2)
    return f"; did you mean {' or '.join(by_name[name] for name in near)}?" if near else ""
