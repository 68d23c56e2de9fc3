"""open_address: the answer of a server to a request for a file, with every way there checked first.

Source: RFC 9110, sections 15.4 (redirections) and 15.5.17 (416).
"""

import errno
import ipaddress
import socket
import ssl
from collections.abc import Mapping
from http.client import HTTPException, HTTPResponse
from urllib.error import HTTPError, URLError
from urllib.parse import urljoin, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from sprat.errors import BadInput

MAX_REDIRECTS = 5
REDIRECTIONS = (301, 302, 303, 307, 308)
PASSING = (408, 429, 500, 502, 503, 504)  # statuses that may be gone on the next attempt
AWAY = (errno.ECONNREFUSED, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN)


class BrokenError(Exception):
    """An attempt that failed in a way that another may not.

    Args:
        why: for the message.
        away: whether the server was not reached at all.
        stale: whether what we have is of no use, as the file there is another one now.
    """

    def __init__(self, why: str, *, away: bool = False, stale: bool = False) -> None:
        super().__init__(why)
        self.away = away
        self.stale = stale


class _NoRedirect(HTTPRedirectHandler):
    """Redirections come back as errors, as each address is checked before it is asked."""

    def http_error_302(self, *_: object) -> None:
        """Not followed here."""

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302  # type: ignore[assignment]


def open_address(asked: str, headers: Mapping[str, str], *, plain_http: bool, timeout_s: float) -> HTTPResponse:
    """The answer to a request, redirections followed; the caller closes it.

    Args:
        asked: https, or http where `plain_http` or on this machine. No redirection leads from https to http.
        headers: of the request.
        plain_http: whether http to another machine is allowed, as a checksum proves the content.
        timeout_s: of each wait for the server.

    Raises:
        BrokenError: the server is out of reach, silent or overloaded.
        BadInput: the server does not have the file, or the way there is not safe.
    """
    url, secure = asked, False
    opener = build_opener(_NoRedirect)
    for _ in range(MAX_REDIRECTS + 1):
        secure = _check_address(url, asked, secure=secure, plain_http=plain_http)
        try:
            response = opener.open(Request(url, headers=dict(headers)), timeout=timeout_s)
            assert isinstance(response, HTTPResponse)
            return response
        except HTTPError as error:
            with error:
                location = error.headers.get("Location")
                if error.code not in REDIRECTIONS or not location:
                    raise _refusal(error.code, url, asked) from None
                url = _join(url, location)
        except URLError as error:
            raise failure(error.reason, asked) from None
        except ValueError:
            raise BadInput(f"{url!r}, to which {asked} leads, is no address; {by_hand(asked)}") from None
        except (OSError, HTTPException) as error:
            raise failure(error, asked) from None
    raise BadInput(f"{asked} is redirected more than {MAX_REDIRECTS} times, last to {url}; {by_hand(asked)}")


def _join(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        raise BadInput(f"{url} is redirected to {location!r}, which is no address; {by_hand(url)}") from None


def _check_address(url: str, asked: str, *, secure: bool, plain_http: bool) -> bool:
    """Whether the address is https; from there (`secure`) no way leads back to http, and none to other schemes."""
    try:
        pieces = urlsplit(url)
        host = pieces.hostname or ""
    except ValueError:
        raise BadInput(f"{url!r} is no address of a file on the web") from None
    whence = "" if url == asked else f", to which {asked} leads,"
    if pieces.scheme not in ("http", "https") or not host:
        raise BadInput(f"{url}{whence} is neither https nor http; {by_hand(asked)}")
    if pieces.scheme == "https":
        return True
    if secure:
        raise BadInput(f"{url}{whence} is plain http where https was asked; {by_hand(asked)}")
    if not (plain_http or _is_here(host)):
        raise BadInput(
            f"{url}{whence} is plain http, and no sha256 of the file is published that would prove its content; "
            "give an https address"
        )
    return False


def _is_here(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _refusal(code: int, url: str, asked: str) -> Exception:
    """What a status that is no success means: another attempt, or the end."""
    if code == 416:  # the part is longer than the file is now
        return BrokenError("the file there has become shorter (HTTP 416)", stale=True)
    if code in PASSING:
        return BrokenError(f"the server answers HTTP {code}")
    if code in (404, 410):
        return BadInput(
            f"{url} is not there (HTTP {code}); it may have moved: find it by hand and run `sprat import FILE`"
        )
    if code in (401, 403, 407, 451):
        return BadInput(f"{url} is refused by the server (HTTP {code}); {by_hand(asked)}")
    return BadInput(f"{url} cannot be had, the server answers HTTP {code}; {by_hand(asked)}")


def failure(reason: object, url: str) -> Exception:
    """What a connection that failed means."""
    if isinstance(reason, ssl.SSLCertVerificationError):
        return BadInput(f"{url}: the certificate of the server is not valid ({reason.verify_message}); {by_hand(url)}")
    if isinstance(reason, socket.gaierror):
        return BrokenError(f"the name of the server is not found ({reason.strerror}), is there a network?", away=True)
    if isinstance(reason, OSError) and reason.errno in AWAY:
        return BrokenError(f"no server answers ({reason.strerror}), is there a network?", away=True)
    if isinstance(reason, TimeoutError):
        return BrokenError("the server is silent for too long")
    return BrokenError(f"the connection broke ({str(reason) or type(reason).__name__})")


def by_hand(url: str) -> str:
    """How to do without us."""
    return f"get {url} by hand and run `sprat import FILE`"
