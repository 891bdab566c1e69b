"""How many wrong tokens an address may send before it is told to wait.

Nobody guesses a secret of 256 bits: this is for what the guessing costs, and for programs that go
on with a token that was revoked. Therefore each token is checked first, and one that is valid is
let in whatever came from its address before. To refuse the address would let a stranger lock out
all who call through the same proxy; to believe what a proxy says of the caller would let him
choose whom.
"""

import ipaddress
from collections.abc import Callable

from app.service.rate import Rate

_OF_ONE_SITE = 64  # bits of an IPv6 address: whoever has one has all that begin with them


class WrongTokens:
    """A bucket for each address, in the memory of this process; of the newest 10,000.

    Args:
        per_minute: How many wrong tokens an address may send at once, and in each minute.
        clock: Monotonic seconds.

    >>> wrong = WrongTokens(1, lambda: 0.0)
    >>> wrong.many("10.0.0.1"), wrong.wait_s("10.0.0.1"), wrong.many("10.0.0.1")
    (False, 0.0, True)
    >>> wrong.wait_s("10.0.0.1"), wrong.wait_s("10.0.0.2")
    (60.0, 0.0)
    """

    def __init__(self, per_minute: int, clock: Callable[[], float]) -> None:
        self._rate = Rate(per_minute / 60, per_minute, clock)

    def wait_s(self, address: str) -> float:
        """Count a wrong token; return 0, or in how many seconds it would have been one of few."""
        return self._rate.wait_s(_site(address))

    def many(self, address: str) -> bool:
        """Say whether one more would be too many."""
        return not self._rate.has(_site(address))


def _site(address: str) -> str:
    """Return what one caller has of an address.

    >>> _site("2001:db8:1:2:3::4") == _site("2001:db8:1:2::"), _site("::ffff:10.0.0.1")
    (True, '10.0.0.1')
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:  # not of an IP connection
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(found), _OF_ONE_SITE), strict=False))
