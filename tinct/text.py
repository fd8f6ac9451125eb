"""Text that is shown to users, with names and tags that come from strangers' files."""

import unicodedata


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
