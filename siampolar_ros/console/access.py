"""Who may use the console: by token, by the name the page was asked for, by origin; no ROS."""

from __future__ import annotations

import hmac
import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from ..parameters.table import ParameterError

#: A shorter token could be guessed.
MIN_TOKEN = 16


def is_this_machine(host: str) -> bool:
    """Whether an address or name can be reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True)
class Access:
    """The rule for every request.

    Without a token only pages that were asked for under a name of this machine are served: a
    foreign page that has its own name point here (DNS rebinding) is refused.

    Attributes:
        token: what a browser must bring; empty: none is needed.
    """

    token: str

    @classmethod
    def of(cls, host: str, token: str, new_token: str) -> Access:
        """The rule for an address to serve on.

        Args:
            new_token: taken where a token is needed and none is given.

        Raises:
            ParameterError: a token that is too short.
        """
        if token and len(token) < MIN_TOKEN:
            raise ParameterError(
                f"parameter token has {len(token)} characters; it must have at least {MIN_TOKEN}, "
                "or be empty"
            )
        return cls(token or ("" if is_this_machine(host) else new_token))

    def knows(self, token: str) -> bool:
        """Whether a token is the right one; True for any if none is needed."""
        return not self.token or hmac.compare_digest(token.encode(), self.token.encode())

    def refusal(self, host: str, origin: str | None) -> str:
        """Why a request is refused, whatever its token; empty if it is not.

        Args:
            host: header ``Host``.
            origin: header ``Origin``; None if a page was asked for by address.
        """
        name = urlsplit(f"//{host}").hostname or ""
        if not self.token and not is_this_machine(name):
            return f"this console is served to its own machine only, not as {name or 'nothing'!r}"
        if origin is not None and urlsplit(origin).netloc != host:
            return f"a page of {origin[:100]!r} may not use the console of {host[:100]!r}"
        return ""
