"""`urface serve keys`: make, list and remove the keys of the service."""

from __future__ import annotations

from typing import Literal

from urface.commands.parser import CommandParser, note
from urface.web.keys import KeyFile, default_key_file

Role = Literal["search", "enrol", "admin"]
SUMMARIES = {
    "add": """\
Make a key and print it. It is stored as a scrypt hash, so it is not to be had again.
search: compare, search, identify. enrol: also list and enrol people. admin: also remove them.
--raw: also raw embeddings, which no role includes.""",
    "list": "Whose keys there are, and what they may.",
    "remove": "Refuse a key from now on; a running service takes notice at its next request.",
}
EXAMPLES = {
    "add": "  urface serve keys add door --role search",
    "list": "  urface serve keys list",
    "remove": "  urface serve keys remove door",
}


def run_action(action: str, arguments: list[str]) -> int:
    """``add``, ``list`` or ``remove`` with the arguments after it."""
    parser = CommandParser(f"urface serve keys {action}", SUMMARIES[action], EXAMPLES[action])
    if action != "list":
        parser.add("name", str, help="whose key it is")
    if action == "add":
        parser.add("--role", Role, "search", help="what it may do")
        parser.add_flag("--raw", help="it may have raw embeddings too")
    parser.add("--key_file", str, "", help="file of keys (default: ~/.config/urface/keys.json)")
    given = parser.read(arguments)
    file = KeyFile(given.key_file or default_key_file())
    if action == "add":
        print(file.add(given.name, given.role, given.raw))
        note(f"{file.path}: {given.name} may {given.role}; the key above is shown this once")
    elif action == "remove":
        file.remove(given.name)
        note(f"{file.path}: {given.name} removed")
    else:
        for key in sorted(file.by_id().values(), key=lambda key: key.name):
            print(f"{key.name:20} {key.role:8}{'raw' if key.raw else ''}".rstrip())
    return 0
