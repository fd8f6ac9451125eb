"""Text of strangers' files made safe to show: names and tags must not control a terminal."""


def escape_controls(text: str) -> str:
    """Return the text with each character that cannot be printed written as Python escapes it."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
