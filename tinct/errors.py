"""The one error that users meet."""


class CodecError(Exception):
    """The user's input cannot be used: what was expected, what was found, what to do."""
