"""A headless browser for pages, where one is installed."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Browse = Callable[[Path, str], dict[str, Any]]


@pytest.fixture
def browse(tmp_path: Path) -> Browse:
    """Opens a page without a network, runs the body of an async function in it, and gives what that returns.

    Fails when the console says anything or when the page asks for anything that is not inside it.
    """
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium is installed: pages are not opened in a browser")

    def run(page: Path, body: str) -> dict[str, Any]:
        probed = tmp_path / f"probed-{page.name}"
        probe = (
            "<script>window.onerror = (message) => { document.title = 'ERROR ' + message; };"
            "window.addEventListener('load', async () => {"
            "const wait = (ms) => new Promise((done) => setTimeout(done, ms));"
            f"const result = await (async () => {{ {body} }})();"
            "result.requests = performance.getEntriesByType('resource').map((entry) => entry.name)"
            ".filter((name) => !name.startsWith('data:'));"
            "const place = document.createElement('pre'); place.id = 'probe';"
            "place.textContent = JSON.stringify(result); document.body.append(place); });</script>"
        )
        text = page.read_text(encoding="utf-8").replace("</body>", probe + "</body>")
        if "script-src" not in text:  # a page without scripts forbids them all, and so ours
            text = text.replace("default-src 'none'", "default-src 'none'; script-src 'unsafe-inline'", 1)
        probed.write_text(text, encoding="utf-8")
        command = [
            program,
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={tmp_path / 'browser'}",
        ]
        command += ["--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr", "--virtual-time-budget=8000"]
        done = subprocess.run(
            [*command, "--dump-dom", f"file://{probed}"], capture_output=True, text=True, timeout=120, check=False
        )
        console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
        assert not console, console
        found = re.search(r'<pre id="probe">(.*?)</pre>', done.stdout, re.DOTALL)
        assert found, done.stdout[:500] + done.stderr[-2000:]
        result: dict[str, Any] = json.loads(html.unescape(found[1]))
        assert result.pop("requests") == []
        return result

    return run
