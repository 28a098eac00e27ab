"""The recipe of SECURITY.md for a proxy that asks for a password, with a real nginx."""

from __future__ import annotations

import ssl
import subprocess
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from getpass import getuser
from shutil import which
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest

from tests.support.paths import APP, REPOSITORY

if TYPE_CHECKING:
    from tests.support.browser import Visit

pytest_plugins = ["tests.support.browser"]
NGINX = which("nginx") or which("/usr/sbin/nginx")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(NGINX is None or which("openssl") is None, reason="no nginx or openssl on this machine"),
]
RECIPE = REPOSITORY / "docs" / "proxy.conf"
USER, PASSWORD = "lab", "a password: with signs"  # pragma: allowlist secret
MAIN = """daemon off;
user {user};
pid {folder}/pid;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u;
    scgi_temp_path {folder}/s;
    include {folder}/cpc-lab.conf;
}}
"""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the app, started as SECURITY.md says."""
    from tests.support.browser import streamlit_server

    root = tmp_path_factory.mktemp("app")
    options = {"server.allowedHosts": "lab.localhost"}
    with streamlit_server(APP, root / "log", options, {"CPC_RUNS": str(root / "runs")}) as url:
        yield url


@pytest.fixture(scope="module")
def proxied(app: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the app behind the recipe; only its name, its port, and the places of its files are set."""
    from tests.support.browser import free_port

    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    text = RECIPE.read_text()
    for old, new in {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "lab.example.org": "lab.localhost",
        "/etc/nginx/": f"{folder}/",
        "127.0.0.1:8501": urlsplit(app).netloc,
    }.items():
        assert old in text
        text = text.replace(old, new)
    (folder / "cpc-lab.conf").write_text(text)
    (folder / "nginx.conf").write_text(MAIN.format(folder=folder, user=getuser()))
    certify = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=lab.localhost"]
    places = ("-keyout", folder / "cpc-lab.key", "-out", folder / "cpc-lab.crt")
    subprocess.run([*certify, *places], check=True, capture_output=True)
    shadow = subprocess.run(["openssl", "passwd", "-apr1", PASSWORD], check=True, capture_output=True, text=True)
    (folder / "cpc-lab.users").write_text(f"{USER}:{shadow.stdout}")
    process = subprocess.Popen([NGINX, "-c", folder / "nginx.conf", "-e", folder / "errors.log"])
    try:
        deadline = time.monotonic() + 20
        while status(f"https://127.0.0.1:{port}/") is None:
            assert time.monotonic() < deadline, (folder / "errors.log").read_text()
            time.sleep(0.1)
        yield f"https://lab.localhost:{port}"
    finally:
        process.terminate()
        process.wait(10)


def status(url: str, user: str = "", headers: dict[str, str] | None = None) -> int | None:
    """Status of a request with this name and password; None where nobody listens."""
    trusting = ssl.create_default_context()
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    parts = urlsplit(url)
    request = Request(url.replace(parts.hostname or "", "127.0.0.1"), headers={"Host": parts.netloc, **(headers or {})})
    if user:
        request.add_header("Authorization", f"Basic {b64encode(user.encode()).decode()}")
    try:
        with urlopen(request, timeout=10, context=trusting) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code
    except OSError:
        return None


@pytest.mark.parametrize("user", ["", f"{USER}:wrong", f"other:{PASSWORD}"])
def test_nothing_answers_without_the_password(proxied: str, user: str) -> None:
    for path in ("", "train", "_stcore/health", "_stcore/host-config", "_stcore/upload_file/a/b", "app/static/x"):
        assert status(f"{proxied}/{path}", user) == 401, path
    socket = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "x"}
    assert status(f"{proxied}/_stcore/stream", user, socket) == 401
    assert status(f"{proxied}/_stcore/health", f"{USER}:{PASSWORD}") == 200


def test_with_the_password_the_app_works_and_takes_uploads(proxied: str, visit: Callable[..., Visit]) -> None:
    from tests.engine.execution.test_own_data import two_classes, zipped

    known = {"username": USER, "password": PASSWORD}
    page = visit(f"{proxied}/train", http_credentials=known, ignore_https_errors=True).page
    page.get_by_text("Use your own sounds or pictures").click()
    upload = page.locator(".st-key-upload").get_by_test_id("stFileUploaderDropzoneInput")
    upload.set_input_files(
        {"name": "own.zip", "mimeType": "application/zip", "buffer": zipped(two_classes(64)).getvalue()}
    )
    page.get_by_text("2 classes").wait_for()
