"""fetch, against real HTTP servers on this machine: cut, lying, slow and full ones. Nothing here reaches a network."""

import hashlib
import http.server
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sprat.errors import BadInput
from sprat.weights.fetch import resume
from sprat.weights.fetch.download import fetch, recorded_sha256, weights_folder
from sprat.weights.fetch.published import Published

CONTENT = hashlib.shake_256(b"weights").digest(300_000)
OTHER = hashlib.shake_256(b"other weights").digest(300_000)
HALF = 150_000


@dataclass
class Site:
    """What the server serves and how it misbehaves; each request takes the first entry of `acts` that is left."""

    content: bytes = CONTENT
    etag: str = '"v1"'
    dated: str = ""
    ranges: bool = True  # answers Range
    if_range: bool = True  # heeds If-Range
    lengths: bool = True  # says Content-Length
    acts: list[str] = field(default_factory=list)
    status: int = 200
    extra: Mapping[str, str] = field(default_factory=dict)
    location: str = ""
    go_on: threading.Event = field(default_factory=threading.Event)
    asked: list[dict[str, str]] = field(default_factory=list)
    url: str = ""

    @property
    def ranges_asked(self) -> list[str]:
        return [request.get("Range", "") for request in self.asked]


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers as the Site of its server says."""

    site: Site

    def do_GET(self) -> None:
        site = self.site
        site.asked.append({"path": self.path, **dict(self.headers.items())})
        act = site.acts.pop(0) if site.acts else ""
        if act.isdigit() or site.status != 200:
            self._answer(int(act or site.status), b"no")
        elif site.location and not self.path.startswith("/moved"):
            self._answer(302, b"", {"Location": site.location})
        elif act == "drop":
            self.close_connection = True
        elif act == "silent":
            site.go_on.wait(20)
        else:
            self._send(act)

    def _send(self, act: str) -> None:
        site, start, status = self.site, 0, 200
        headers = dict(site.extra)
        if site.etag:
            headers["ETag"] = site.etag
        if site.dated:
            headers["Last-Modified"] = site.dated
        wanted = self.headers.get("Range")
        same = not site.if_range or self.headers.get("If-Range") in (None, site.etag or site.dated)
        if wanted and site.ranges and same:
            start, status = int(wanted.removeprefix("bytes=").rstrip("-")), 206
            if start >= len(site.content):
                self._answer(416, b"", {"Content-Range": f"bytes */{len(site.content)}"})
                return
            headers["Content-Range"] = f"bytes {start}-{len(site.content) - 1}/{len(site.content)}"
        body = site.content[start:]
        self.send_response(status)
        if site.lengths:
            headers["Content-Length"] = str(len(body))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if act == "cut":
            body = body[:HALF]
        elif act == "pause":
            self.wfile.write(body[:HALF])
            self.wfile.flush()
            site.go_on.wait(20)
            body = body[HALF:]
        self.wfile.write(body)
        self.close_connection = True

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str] = {}) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


class Server(http.server.ThreadingHTTPServer):
    """Does not complain of clients that went away."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Quiet."""


Serve = Callable[..., Site]


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxies of whoever runs the tests are not asked."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A function that starts a server and gives its Site."""
    servers: list[tuple[Server, Site]] = []

    def start(*, certificate: Path | None = None, **keys: object) -> Site:
        site = Site(**keys)  # type: ignore[arg-type]
        server = Server(("127.0.0.1", 0), type("OneHandler", (Handler,), {"site": site}))
        scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
            scheme = "https"
        site.url = f"{scheme}://127.0.0.1:{server.server_port}/net.bin"
        servers.append((server, site))
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return site

    yield start
    for server, site in servers:
        site.go_on.set()
        server.shutdown()
        server.server_close()


def entry_of(url: str, content: bytes | None = CONTENT, **changes: object) -> Published:
    """An entry for a file at that address; without a checksum where no content is given."""
    sha256 = None if content is None else hashlib.sha256(content).hexdigest()
    about = {"name": "test/net", "model": "", "source": "test", "title": "", "licence": "", "found": ""}
    keys = about | {"url": url, "file_name": "net.bin", "sha256": sha256} | changes
    return Published(**keys)  # type: ignore[arg-type]


def get(
    site: Site, folder: Path, content: bytes | None = CONTENT, *, timeout_s: float = 0.2, **changes: object
) -> Path:
    """What fetch gives of a site."""
    return fetch(entry_of(site.url, content, **changes), folder, timeout_s=timeout_s)


def files(folder: Path) -> set[str]:
    """What a download leaves in a folder, without its lock."""
    return {path.name for path in folder.iterdir() if not path.name.endswith(".lock")}


DONE = {"net.bin", "net.bin.json"}
STOPPED = {"net.bin.part", "net.bin.part.json"}


def test_whole_file(serve: Serve, tmp_path: Path) -> None:
    """One request, progress up to the end, the sha256 recorded, nothing else left behind."""
    site, steps = serve(), []
    path = fetch(entry_of(site.url), tmp_path / "new" / "folder", on_progress=lambda *step: steps.append(step))
    assert path == tmp_path / "new" / "folder" / "net.bin"
    assert path.read_bytes() == CONTENT
    assert files(path.parent) == DONE
    assert recorded_sha256(path) == hashlib.sha256(CONTENT).hexdigest()
    assert [step[0] for step in steps] == sorted({step[0] for step in steps})
    assert steps[-1] == (len(CONTENT), len(CONTENT))
    assert site.ranges_asked == [""]
    assert site.asked[0]["Accept-Encoding"] == "identity"


def test_default_folder(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the user's cache, by source."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert weights_folder() == tmp_path / "sprat" / "weights"
    assert fetch(entry_of(serve().url)) == tmp_path / "sprat" / "weights" / "test" / "net.bin"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert weights_folder() == tmp_path / "home" / ".cache" / "sprat" / "weights"


def test_cached_copy_needs_no_server(serve: Serve, tmp_path: Path) -> None:
    """A finished file is used as it is, also from a folder that cannot be written."""
    site = serve()
    get(site, tmp_path)
    tmp_path.chmod(0o500)
    gone = entry_of(f"http://127.0.0.1:{closed_port()}/net.bin")
    assert fetch(gone, tmp_path).read_bytes() == CONTENT
    tmp_path.chmod(0o700)
    assert len(site.asked) == 1


@pytest.mark.parametrize("published", [True, False])
def test_damaged_copy_is_fetched_again(serve: Serve, tmp_path: Path, *, published: bool) -> None:
    """A cached file is verified, against the published checksum or the recorded one, before it is used."""
    site, content = serve(), CONTENT if published else None
    path = get(site, tmp_path, content)
    path.write_bytes(CONTENT[:-1] + b"!")
    assert get(site, tmp_path, content).read_bytes() == CONTENT
    assert len(site.asked) == 2


@pytest.mark.parametrize("kind", ["etag", "date"])
def test_cut_connection_goes_on(serve: Serve, tmp_path: Path, kind: str) -> None:
    """Only the rest is asked for, on the condition that the file is the same."""
    keys = {"etag": '"v1"'} if kind == "etag" else {"etag": "", "dated": "Wed, 14 Jun 2017 00:00:00 GMT"}
    site = serve(acts=["cut", "drop"], **keys)
    assert get(site, tmp_path).read_bytes() == CONTENT
    assert site.ranges_asked == ["", f"bytes={HALF}-", f"bytes={HALF}-"]
    assert site.asked[2]["If-Range"] == (site.etag or site.dated)


def test_weak_etag_is_no_ground_to_go_on(serve: Serve, tmp_path: Path) -> None:
    """Neither is no validator at all: the file is begun anew."""
    for number, etag in enumerate(['W/"v1"', ""]):
        site = serve(etag=etag, acts=["cut"])
        assert get(site, tmp_path / str(number)).read_bytes() == CONTENT
        assert site.ranges_asked == ["", ""]


def test_server_that_ignores_range(serve: Serve, tmp_path: Path) -> None:
    """It sends everything again, which replaces the part."""
    site = serve(ranges=False, acts=["cut"])
    assert get(site, tmp_path).read_bytes() == CONTENT
    assert site.ranges_asked == ["", f"bytes={HALF}-"]


@pytest.mark.parametrize("heeds", [True, False])
def test_file_changed_between_the_parts(serve: Serve, tmp_path: Path, *, heeds: bool) -> None:
    """Parts of two files are never joined, even where the server does not heed If-Range."""
    site = serve(acts=["cut", "500", "500", "500", "500", "500", "500"], if_range=heeds)
    with pytest.raises(BadInput, match=f"HTTP 500; {HALF:,} bytes are kept, run it again to go on"):
        get(site, tmp_path, OTHER)
    assert files(tmp_path) == STOPPED
    site.content, site.etag, site.asked = OTHER, '"v2"', []
    assert get(site, tmp_path, OTHER).read_bytes() == OTHER
    assert site.ranges_asked == ([f"bytes={HALF}-"] if heeds else [f"bytes={HALF}-", ""])
    assert files(tmp_path) == DONE


def test_part_of_another_address(serve: Serve, tmp_path: Path) -> None:
    """Is not gone on from."""
    first, second = serve(acts=["cut", "404"]), serve(content=OTHER)
    with pytest.raises(BadInput, match="404"):
        get(first, tmp_path)
    assert get(second, tmp_path, OTHER).read_bytes() == OTHER
    assert second.ranges_asked == [""]


def test_part_longer_than_the_file(serve: Serve, tmp_path: Path) -> None:
    """416: the file there has become shorter; begun anew."""
    site = serve(acts=["cut", "404"])
    with pytest.raises(BadInput, match="404"):
        get(site, tmp_path)
    site.content, site.asked = CONTENT[:1000], []
    assert get(site, tmp_path, CONTENT[:1000]).read_bytes() == CONTENT[:1000]
    assert site.ranges_asked == [f"bytes={HALF}-", ""]


def test_stopped_between_the_last_byte_and_the_check(serve: Serve, tmp_path: Path) -> None:
    """A part that is whole is verified and used; nothing is asked."""
    site = serve()
    tmp_path.joinpath("net.bin.part").write_bytes(CONTENT)
    state = {"url": site.url, "validator": '"v1"', "total": len(CONTENT)}
    tmp_path.joinpath("net.bin.part.json").write_text(json.dumps(state))
    assert get(site, tmp_path).read_bytes() == CONTENT
    assert site.asked == []
    assert files(tmp_path) == DONE


@pytest.mark.parametrize("state", ["", "{", "[]", '{"url": 1, "validator": 2, "total": "x"}', "[" * 100_000])
def test_damaged_state_of_a_part(serve: Serve, tmp_path: Path, state: str) -> None:
    """A part of which nothing sure is known is begun anew."""
    tmp_path.joinpath("net.bin.part").write_bytes(b"something")
    tmp_path.joinpath("net.bin.part.json").write_text(state)
    site = serve()
    assert get(site, tmp_path).read_bytes() == CONTENT
    assert site.ranges_asked == [""]


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha1", "md5", "sha256_prefix"])
def test_wrong_checksum(serve: Serve, tmp_path: Path, algorithm: str) -> None:
    """Both sums are named, the file is removed; with the right one it is kept."""
    name, digits = (algorithm, None) if algorithm != "sha256_prefix" else ("sha256", 8)
    wrong, right = (hashlib.new(name, content).hexdigest()[:digits] for content in (OTHER, CONTENT))
    site = serve()
    got = hashlib.new(name, CONTENT).hexdigest()
    with pytest.raises(BadInput, match=f"its {name} is {got}, published is {wrong}.*; it was removed"):
        get(site, tmp_path, None, **{algorithm: wrong})
    assert files(tmp_path) == set()
    assert get(site, tmp_path, None, **{algorithm: right.upper()}).read_bytes() == CONTENT


def test_without_checksum_the_first_download_counts(serve: Serve, tmp_path: Path) -> None:
    """Its sha256 is recorded; another file at the same address is refused until the record is deleted."""
    site = serve()
    path = get(site, tmp_path, None)
    path.unlink()
    site.content = OTHER
    got, first = (hashlib.sha256(content).hexdigest() for content in (OTHER, CONTENT))
    with pytest.raises(BadInput, match=f"its sha256 is {got}, the first download, recorded in .*json .* had {first}"):
        get(site, tmp_path, None)
    tmp_path.joinpath("net.bin.json").unlink()
    assert get(site, tmp_path, None).read_bytes() == OTHER
    assert recorded_sha256(path) == got


@pytest.mark.parametrize("record", ["", "[]", "{}", '{"sha256": 7}', '{"sha256": "abc"}'])
def test_damaged_record(serve: Serve, tmp_path: Path, record: str) -> None:
    """Is said, as nothing else vouches for the file."""
    site = serve()
    get(site, tmp_path, None)
    tmp_path.joinpath("net.bin.json").write_text(record)
    with pytest.raises(BadInput, match=r"net\.bin\.json is damaged; delete it"):
        get(site, tmp_path, None)


def test_wrong_length(serve: Serve, tmp_path: Path) -> None:
    """A server that says another length than the published one is not listened to further."""
    with pytest.raises(BadInput, match="has 300,000 bytes, but 300,001 are published; it is another file"):
        get(serve(), tmp_path, size_bytes=300_001)
    assert files(tmp_path) == set()


def test_length_not_said(serve: Serve, tmp_path: Path) -> None:
    """The published size is what is waited for; without one, the end of the connection and the checksum decide."""
    assert get(serve(lengths=False), tmp_path / "a").read_bytes() == CONTENT
    site = serve(lengths=False, acts=["cut"])
    assert get(site, tmp_path / "b", size_bytes=len(CONTENT)).read_bytes() == CONTENT
    assert site.ranges_asked == ["", f"bytes={HALF}-"]
    with pytest.raises(BadInput, match="sends more bytes than it said"):
        get(serve(lengths=False), tmp_path / "c", size_bytes=1000)
    with pytest.raises(BadInput, match=r"its sha256 is .* published is"):
        get(serve(lengths=False, acts=["cut"]), tmp_path / "d")


def test_too_large(serve: Serve, tmp_path: Path) -> None:
    """More than any network has is refused by what the server says, before a byte is taken."""
    site = serve(lengths=False, extra={"Content-Length": str(2 * 10**9 + 1)})
    with pytest.raises(BadInput, match="2,000,000,001 bytes long; more than 2,000,000,000 are not taken"):
        get(site, tmp_path)


def test_redirects(serve: Serve, tmp_path: Path) -> None:
    """One is followed, relative or not; each part asks at the published address again."""
    target = serve(acts=["cut"])
    site = serve(location=target.url)
    assert get(site, tmp_path).read_bytes() == CONTENT
    assert target.ranges_asked == ["", f"bytes={HALF}-"]
    assert len(site.asked) == 2
    relative = serve(location="moved/net.bin")
    assert get(relative, tmp_path / "relative").read_bytes() == CONTENT
    assert [request["path"] for request in relative.asked] == ["/net.bin", "/moved/net.bin"]


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("/again", "redirected more than 5 times, last to http://127.0.0.1"),
        ("file:///etc/passwd", "file:///etc/passwd, to which http.* leads, is neither https nor http"),
        ("ftp://127.0.0.1/net.bin", "neither https nor http"),
        ("data:,hello", "neither https nor http"),
        ("http://[::1/net.bin", "is no address"),
        ("/with a space\tand more", "is no address|cannot be had"),
        ("/\x85\xff", "redirected more than|is no address"),
    ],
)
def test_redirects_that_lead_nowhere(serve: Serve, tmp_path: Path, location: str, message: str) -> None:
    """A loop is bounded, other schemes are refused, and what is no address is said to be none."""
    site = serve(location=location)
    with pytest.raises(BadInput, match=message):
        get(site, tmp_path)
    assert len(site.asked) <= 6


def test_plain_http_needs_a_checksum(tmp_path: Path) -> None:
    """To another machine, plain http is taken only with a sha256 or sha384; nothing is asked before that is known."""
    for weak in ({}, {"md5": "0" * 32}, {"sha256_prefix": "0" * 8}, {"sha1": "0" * 40}):
        with pytest.raises(BadInput, match="plain http, and no sha256 of the file is published"):
            fetch(entry_of("http://weights.invalid/net.bin", None, **weak), tmp_path)
    for address in ("ftp://weights.invalid/net.bin", "file:///etc/passwd", "net.bin", "", "https://", "http://[::1"):
        with pytest.raises(BadInput, match=r"neither https nor http|is no address"):
            fetch(entry_of("https://weights.invalid/net.bin"), tmp_path, url=address or "x:")


def test_proxy_of_the_environment(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is used as urllib does; here it stands in for a server that is published on plain http."""
    site = serve(acts=["cut"])
    monkeypatch.setenv("http_proxy", site.url.removesuffix("/net.bin"))
    path = fetch(entry_of("http://weights.invalid/net.bin"), tmp_path, timeout_s=0.2)
    assert path.read_bytes() == CONTENT
    assert [request["path"] for request in site.asked] == ["http://weights.invalid/net.bin"] * 2


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate of this machine for itself."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl here to make a certificate with")
    folder = tmp_path_factory.mktemp("certificate")
    key, cert = folder / "key.pem", folder / "cert.pem"
    made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)]
    subprocess.run([openssl, *made, *names], check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_bytes(key.read_bytes() + cert.read_bytes())
    return both


def test_https_never_leads_back_to_http(
    serve: Serve, tmp_path: Path, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From http to https a redirection is followed, from https to http it is refused, even on this machine."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    plain, safe = serve(), serve(certificate=certificate)
    up = serve(location=safe.url)
    assert get(up, tmp_path / "up", timeout_s=5).read_bytes() == CONTENT
    safe.location = plain.url
    with pytest.raises(BadInput, match=r"net\.bin, to which https://.* leads, is plain http where https was asked"):
        get(safe, tmp_path / "down", timeout_s=5)
    assert plain.asked == []


def test_certificate_that_nobody_vouches_for(serve: Serve, tmp_path: Path, certificate: Path) -> None:
    """Is refused at once."""
    with pytest.raises(BadInput, match="certificate of the server is not valid"):
        get(serve(certificate=certificate), tmp_path, timeout_s=5)


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (404, r"is not there \(HTTP 404\); it may have moved: .*sprat import FILE"),
        (403, r"is refused by the server \(HTTP 403\); get http.* by hand"),
        (400, "the server answers HTTP 400"),
        (204, "the server answers HTTP 204"),
        (301, "the server answers HTTP 301"),
    ],
)
def test_statuses_that_stay(serve: Serve, tmp_path: Path, status: int, message: str) -> None:
    """Are asked for once."""
    site = serve(status=status)
    with pytest.raises(BadInput, match=message):
        get(site, tmp_path)
    assert len(site.asked) == 1


def test_statuses_that_pass(serve: Serve, tmp_path: Path) -> None:
    """500 and its like are tried again, but not for ever."""
    site = serve(acts=["500", "503", "429"])
    assert get(site, tmp_path / "a").read_bytes() == CONTENT
    assert len(site.asked) == 4
    site = serve(status=502)
    with pytest.raises(BadInput, match=r"HTTP 502; run it again later, or get .* by hand"):
        get(site, tmp_path / "b", timeout_s=0.01)
    assert len(site.asked) == resume.RETRIES + 1


def test_silent_server(serve: Serve, tmp_path: Path) -> None:
    """Is given up after the timeout and asked again; what came before the silence is kept."""
    site = serve(acts=["silent", "pause"])
    assert get(site, tmp_path).read_bytes() == CONTENT
    assert site.ranges_asked == ["", "", f"bytes={HALF}-"]
    site = serve(acts=["silent"] * 6)
    with pytest.raises(BadInput, match="the server is silent for too long"):
        get(site, tmp_path / "b", timeout_s=0.05)


def test_web_page_or_packed_instead_of_the_file(serve: Serve, tmp_path: Path) -> None:
    """As a hotel's network or a moved repository answers."""
    with pytest.raises(BadInput, match="is a web page, not a file of weights"):
        get(serve(extra={"Content-Type": "text/html; charset=utf-8"}), tmp_path)
    with pytest.raises(BadInput, match=r"comes packed \(gzip\)"):
        get(serve(extra={"Content-Encoding": "gzip"}), tmp_path)


def closed_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as stream:
        stream.bind(("127.0.0.1", 0))
        return int(stream.getsockname()[1])


def test_offline(tmp_path: Path) -> None:
    """At once, with the address and how to do without us; a name that is not found says so too."""
    url = f"http://127.0.0.1:{closed_port()}/net.bin"
    begun = time.monotonic()
    with pytest.raises(
        BadInput, match=rf"no server answers .*is there a network\?; .*get {url} by hand and run `sprat import FILE`"
    ):
        fetch(entry_of(url), tmp_path)
    with pytest.raises(BadInput, match=r"the name of the server is not found .*is there a network\?.*sprat import"):
        fetch(entry_of("https://[fe80::1%nosuch]/net.bin"), tmp_path)  # fails in the resolver, asks nobody
    assert time.monotonic() - begun < 5
    assert files(tmp_path) == set()


def test_server_that_goes_away_in_the_middle(serve: Serve, tmp_path: Path) -> None:
    """Once bytes came, a refused connection is tried again; the part is kept."""
    site = serve(acts=["cut", "drop", "drop", "drop", "drop", "drop", "drop"])
    with pytest.raises(BadInput, match=r"the connection broke .*150,000 bytes are kept"):
        get(site, tmp_path, timeout_s=0.01)
    assert files(tmp_path) == STOPPED
    assert get(site, tmp_path).read_bytes() == CONTENT


def test_folder_that_cannot_be_written(serve: Serve, tmp_path: Path) -> None:
    """Says which, and what to do."""
    tmp_path.joinpath("file").write_text("")
    with pytest.raises(BadInput, match=r"file/sub/net\.bin cannot be kept \(Not a directory\); give a folder"):
        get(serve(), tmp_path / "file" / "sub")
    if os.getuid() != 0:
        tmp_path.chmod(0o500)
        with pytest.raises(BadInput, match=r"cannot be kept \(Permission denied\)"):
            get(serve(), tmp_path / "sub")
        tmp_path.chmod(0o700)


# In a process of its own: address, folder, "" or the largest file it may write.
SCRIPT = """
import hashlib, resource, sys
from pathlib import Path
from sprat.errors import BadInput
from sprat.weights.fetch.download import fetch
from sprat.weights.fetch.published import Published

url, folder, sha256, limit = sys.argv[1:]
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
entry = Published(
    name="test/net", model="", source="test", title="", url=url, file_name="net.bin", sha256=sha256, licence="",
    found="",
)
try:
    print(fetch(entry, Path(folder), timeout_s=10))
except BadInput as error:
    print("refused", error)
part = Path(folder, "net.bin.part")
print("part", part.stat().st_size if part.exists() else None)
"""


def command(site: Site, folder: Path, limit: str = "") -> list[str]:
    return [sys.executable, "-c", SCRIPT, site.url, str(folder), hashlib.sha256(site.content).hexdigest(), limit]


def test_largest_file_reached(serve: Serve, tmp_path: Path) -> None:
    """A write that the system refuses keeps what was written; with more room it goes on from there."""
    site = serve()
    done = subprocess.run(command(site, tmp_path, "100000"), capture_output=True, text=True, timeout=60, check=True)
    assert "cannot be written (File too large): 200,000 more bytes are needed" in done.stdout
    assert done.stdout.endswith("part 100000\n")
    assert files(tmp_path) == STOPPED
    assert get(site, tmp_path).read_bytes() == CONTENT
    assert site.ranges_asked == ["", "bytes=100000-"]


@pytest.mark.parametrize("lengths", [True, False])
def test_disk_full(serve: Serve, tmp_path: Path, *, lengths: bool) -> None:
    """On a real disk of 64 KiB: refused beforehand where the length is known, else when it is full."""
    unshare, folder = shutil.which("unshare"), tmp_path / "small"
    folder.mkdir()
    mount = f"mount -t tmpfs -o size=64k none '{folder}'"
    if unshare is None or subprocess.run([unshare, "-rm", "sh", "-c", mount], capture_output=True).returncode != 0:
        pytest.skip("no small file system can be mounted here")
    site = serve(lengths=lengths)
    inside = [unshare, "-rm", "sh", "-c", f'{mount} && exec "$@"', "sh", *command(site, folder)]
    done = subprocess.run(inside, capture_output=True, text=True, timeout=60, check=True)
    assert "cannot be written (No space left on device)" in done.stdout
    if lengths:
        assert "300,000 more bytes are needed, 65,536 are free there; make room" in done.stdout
        assert "part None" in done.stdout
    else:
        assert "more room is needed, 0 are free there; make room" in done.stdout
        assert 0 < int(done.stdout.split()[-1]) <= 65_536


def test_killed_in_the_middle(serve: Serve, tmp_path: Path) -> None:
    """What a killed process got is gone on from; its lock went with it."""
    site = serve(acts=["pause"])
    process = subprocess.Popen(command(site, tmp_path), stdout=subprocess.DEVNULL)
    part = tmp_path / "net.bin.part"
    deadline = time.monotonic() + 30
    while not (part.exists() and part.stat().st_size == HALF):
        assert time.monotonic() < deadline, "the first half never came"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait(30) == -signal.SIGKILL
    assert files(tmp_path) >= STOPPED
    assert get(site, tmp_path).read_bytes() == CONTENT
    assert site.ranges_asked == ["", f"bytes={HALF}-"]
    assert files(tmp_path) == DONE


def test_two_processes_at_once(serve: Serve, tmp_path: Path) -> None:
    """One fetches, the other waits and uses what it got."""
    site = serve(acts=["pause"])
    both = [subprocess.Popen(command(site, tmp_path), stdout=subprocess.PIPE, text=True) for _ in range(2)]
    deadline = time.monotonic() + 30
    while not (tmp_path / "net.bin.part").exists():
        assert time.monotonic() < deadline, "neither began"
        time.sleep(0.01)
    time.sleep(0.5)
    site.go_on.set()
    for process in both:
        out, _ = process.communicate(timeout=60)
        assert out == f"{tmp_path / 'net.bin'}\npart None\n"
    assert len(site.asked) == 1
    assert (tmp_path / "net.bin").read_bytes() == CONTENT
