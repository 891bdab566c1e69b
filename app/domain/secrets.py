"""What must not be shown: passwords in addresses, and values whose name says so."""

import re

MASK = "***"

_SECRET_WORDS = frozenset({"password", "passwd", "secret", "token", "key", "credentials"})
# Greedy up to the last `@`, for a password may hold one; but never into the next address.
_IN_AUTHORITY = re.compile(r"(://[^\s:/]*:)(?:(?!://)\S)*(@)")
_IN_QUERY = re.compile(
    rf"([?&;](?:sig|[^\s=&;]*(?:signature|{'|'.join(sorted(_SECRET_WORDS))})[^\s=&;]*)=)[^\s&;]+",
    re.IGNORECASE,
)


def is_secret(name: str) -> bool:
    """Say whether a value of this name is secret: one of its words says so.

    The name of a file that holds one is none.

    >>> [is_secret(name) for name in ("sasl_password", "apiKey", "keyboard", "tracking_uri")]
    [True, True, False, False]
    >>> is_secret("ssl_key_file")
    False
    """
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)
    return words[-1:] != ["file"] and not _SECRET_WORDS.isdisjoint(word.lower() for word in words)


def without_passwords(text: str) -> str:
    """Return the text with each password or signature of an address masked, else readable.

    >>> without_passwords("MLflow at https://me:b:c@d@ml.example:5000/ does not answer")
    'MLflow at https://me:***@ml.example:5000/ does not answer'
    >>> without_passwords("postgresql://db/mlflow?user=me&password=abc")
    'postgresql://db/mlflow?user=me&password=***'
    >>> without_passwords("https://store/m?sv=2026-01-01&sig=abc and https://b/m?X-Amz-Signature=abc")
    'https://store/m?sv=2026-01-01&sig=*** and https://b/m?X-Amz-Signature=***'
    """
    return _IN_QUERY.sub(rf"\g<1>{MASK}", _IN_AUTHORITY.sub(rf"\g<1>{MASK}\g<2>", text))
