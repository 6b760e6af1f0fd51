"""Claims about `urface serve` as a process: it says where it is, answers, and goes when told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from small_model import SETTINGS, one_thread, small_model  # noqa: F401
from urface.config import ObjectiveSettings
from urface.models.files import save_model

from .stand_ins import images


def wait_for(address: str) -> None:
    for _ in range(200):
        try:
            httpx.get(f"{address}v1/health", timeout=5)
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return


def test_it_answers_on_this_machine_and_ends_when_told(tmp_path: Path):
    model = tmp_path / "model.safetensors"
    save_model(model, small_model(), SETTINGS, ObjectiveSettings("confidence", 2.0), {})
    command = [sys.executable, "-m", "urface", "serve", str(model), "--port", "0", "--workers", "1"]
    environment = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as server:
        assert server.stderr is not None
        line = server.stderr.readline()
        try:
            if not line.startswith("http://127.0.0.1:"):
                pytest.fail(line + server.stderr.read())
            assert "not calibrated" in line
            address = line.split()[0]
            wait_for(address)
            with httpx.Client(base_url=address, timeout=60) as http:
                told = http.post(
                    "/v1/compare?aligned_a=true&aligned_b=true",
                    files=[*images(1, name="a"), *images(1, name="b")],
                ).json()
                assert http.get("/").text.startswith("<!doctype html>")
                refused = http.get("/v1/model", headers={"Origin": "http://evil.example"})
            assert told["verdict"] == "not calibrated"
            assert told["probability"] is None
            assert refused.status_code == 403
        finally:
            server.send_signal(signal.SIGTERM)
        rest = server.stderr.read()
        assert server.wait(30) in (0, -signal.SIGTERM)
    assert "POST /v1/compare 200" in rest
    assert "Traceback" not in rest
