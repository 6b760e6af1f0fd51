"""`urface serve`: the API and the page, on this machine alone unless keys are set (docs/serve.md)."""

from __future__ import annotations

import importlib
import importlib.util
import os
from typing import TYPE_CHECKING, Any

from urface.commands.parser import Command, CommandParser, dispatch, note
from urface.types import UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    from urface.gallery import Gallery
    from urface.photos import Detector
    from urface.web.keys import KeyFile
    from urface.web.limits import Limits
    from urface.web.service import Service

SUMMARY = """\
Answer over HTTP: a page to compare two photos and to keep a gallery, and the API behind it
(/openapi.json). It listens on this machine alone; with --host it needs keys (`urface serve keys`)."""
EXAMPLES = """\
  urface serve
  urface serve runs/mine --port 8080
  urface serve --gallery people --gallery-key people.key
  urface serve keys add door --role search
  urface serve --host 0.0.0.0 --hostname faces.example.org"""
LOOPBACK = ("127.0.0.1", "::1", "localhost")
KEY_COMMANDS = {
    "add": Command("urface.commands.serve_keys", "make a key and show it, once"),
    "list": Command("urface.commands.serve_keys", "whose keys there are, and what they may"),
    "remove": Command("urface.commands.serve_keys", "refuse a key from now on"),
}


def run(arguments: list[str]) -> int:
    if arguments[:1] == ["keys"]:
        return _keys(arguments[1:])
    given = _read(arguments)
    keys = key_file(given)
    check_address(given.host, keys, given.hostname)
    _require_packages()

    from urface.web.server import listen, serve

    listener = listen(
        given.host, given.port
    )  # before the model is loaded: a taken port is told at once
    with listener:
        service = build_service(given, keys)
        host = f"[{given.host}]" if ":" in given.host else given.host
        note(f"http://{host}:{listener.getsockname()[1]}/  {service.model.note}")
        if not service.engine.finds_faces:
            note("note: no face detector here: only aligned crops are taken; install urface[faces]")
        serve(service, listener)
    return 0


def _keys(arguments: list[str]) -> int:
    summary = "Keys of `urface serve`: each has a role (search < enrol < admin)."
    examples = "  urface serve keys add door --role search\n  urface serve keys remove door"
    if arguments[:1] and arguments[0] in KEY_COMMANDS:
        module: Any = importlib.import_module(KEY_COMMANDS[arguments[0]].module)
        code: int = module.run_action(arguments[0], arguments[1:])
        return code
    return dispatch("urface serve keys", summary, examples, KEY_COMMANDS, arguments)


def _read(arguments: list[str]) -> Any:
    parser = CommandParser("urface serve", SUMMARY, EXAMPLES)
    parser.add(
        "model",
        str,
        help="model.safetensors or the folder of a run; without one the gallery's, or demonstration",
        nargs="?",
    )
    parser.add("--host", str, "127.0.0.1", help="address to listen on")
    parser.add("--port", int, 8000, help="port to listen on; 0: any that is free")
    parser.add("--hostname", str, "", help="the name that clients use, behind a proxy")
    parser.add("--gallery", str, "", help="folder made by `urface gallery create`")
    parser.add("--gallery_key", str, "", help="its key file; or the variable URFACE_GALLERY_KEY")
    parser.add("--key_file", str, "", help="file of keys (default: ~/.config/urface/keys.json)")
    parser.add("--detector", str, "mediapipe", help="mediapipe, or the path of an ONNX detector")
    parser.add("--workers", int, 0, help="threads that compute; 0: one a core, 4 at most")
    parser.add("--rate", float, 20.0, help="requests a second that each key may make")
    parser.add_flag("--raw", help="without keys: give raw embeddings to everybody on this machine")
    given = parser.read(arguments)
    if not 0 <= given.port <= 65535:
        raise UserError(f"--port must be from 0 to 65535, got {given.port}")
    if not 0 <= given.workers <= 256:
        raise UserError(f"--workers must be from 0 to 256, got {given.workers}")
    if not 0 < given.rate < float("inf"):
        raise UserError(f"--rate must be above 0, got {given.rate}")
    return given


def key_file(given: Any) -> KeyFile | None:
    """The file of keys where it holds any, or where it was named; None: no keys."""
    from urface.web.keys import KeyFile, default_key_file

    file = KeyFile(given.key_file or default_key_file())
    if file.by_id():
        return file
    if given.key_file:
        raise UserError(
            f"{given.key_file}: holds no key: urface serve keys add NAME --role ROLE "
            f"--key-file {given.key_file}"
        )
    return None


def check_address(host: str, keys: KeyFile | None, hostname: str = "") -> None:
    """Raise UserError where others could reach a service that asks for no key (G37).

    hostname  what a proxy in front passes on: who reaches the proxy reaches the service
    """
    if keys is None and host not in LOOPBACK:
        raise UserError(
            f"--host {host} is reached by others, so it needs keys: urface serve keys add NAME "
            "--role search|enrol|admin"
        )
    if keys is None and hostname and hostname not in LOOPBACK:
        raise UserError(
            f"--hostname {hostname} lets others in through a proxy, so it needs keys: "
            "urface serve keys add NAME --role search|enrol|admin"
        )


def _require_packages() -> None:
    for module in ("fastapi", "uvicorn", "python_multipart"):
        if importlib.util.find_spec(module) is None:
            raise UserError("the service needs more packages: pip install 'urface[serve]'")


def build_service(given: Any, keys: KeyFile | None) -> Service:
    """Model, calibration, detector, gallery and limits as the command line asks for them."""
    from urface.decision import decision_of
    from urface.embedder import load
    from urface.models.box import DEMONSTRATION, is_demonstration, model_path
    from urface.recognisers.network import digest_of_ours
    from urface.web.engine import Engine
    from urface.web.limits import Limits
    from urface.web.people import PersonIds
    from urface.web.service import Service, model_note

    gallery, key = open_gallery(given)
    name = given.model or (gallery.facts.path if gallery else "") or DEMONSTRATION
    embedder = load(name)
    decision = decision_of(embedder.facts)
    digest = digest_of_ours(model_path(name))
    limits: Limits = Limits(requests_per_second=given.rate, burst=max(1, round(3 * given.rate)))
    cores = len(os.sched_getaffinity(0))
    workers = given.workers or min(4, cores)
    detector = detector_opener(given.detector)
    engine = Engine(embedder, detector, workers, limits, max(1, cores // workers))
    if gallery:
        gallery.require_model(digest)
        gallery.decision = decision
    hosts = ("127.0.0.1", "localhost", "[::1]", *([given.hostname] if given.hostname else []))
    anywhere = keys is not None and given.host not in LOOPBACK and not given.hostname
    return Service(
        engine=engine,
        decision=decision,
        model=model_note(model_path(name).stem, digest, decision, is_demonstration(name)),
        gallery=gallery,
        ids=PersonIds(key) if gallery else None,
        keys=keys,
        hosts=None if anywhere else hosts,
        raw=given.raw,
        limits=limits,
    )


def open_gallery(given: Any) -> tuple[Gallery | None, bytes]:
    """The gallery that --gallery names, and its key; None and nothing without one."""
    if not given.gallery:
        return None, b""
    from urface.gallery import Gallery
    from urface.gallery.keys import read_key

    key = read_key(given.gallery_key or None)
    return Gallery.open(given.gallery, key), key


def detector_opener(which: str) -> Callable[[], Detector] | None:
    """What opens a detector in each worker; None where mediapipe, the default, is not installed.

    Raises UserError where an ONNX detector was named that cannot be opened.
    """
    from urface.photos import open_detector

    if which == "mediapipe" and importlib.util.find_spec("mediapipe") is None:
        return None
    open_detector(which)
    return lambda: open_detector(which)
