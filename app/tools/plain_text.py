"""Text of a message, as it may reach a terminal."""


def printable(text: str) -> str:
    r"""Escape what is not printable: a message must not move the cursor or change colours.

    >>> printable("a\x1b[31m")
    'a\\x1b[31m'
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
