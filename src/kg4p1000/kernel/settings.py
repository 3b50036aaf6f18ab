"""Settings: one frozen dataclass, read once. Defaults < file < environment < flags.

Only `cli` loads settings; everybody else gets them, or a value from them, as an argument.
"""

from __future__ import annotations

import math
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from .errors import BadSettings

ENVIRONMENT_PREFIX = "KG4P1000_"
_ADDRESS = re.compile(r"https?://[^\s/?#<>\"\\]+(/[^\s?#<>\"\\]*)?")


def default_store() -> Path:
    """Return the user's data folder, as the XDG base directory specification has it."""
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "kg4p1000"


def default_files() -> Path:
    """Return the folder of the knowledge: the working folder, the checkout, or what the package carries."""
    package = Path(__file__).parents[1]
    for folder in (Path(), package.parent.parent, package / "files"):
        if (folder / "ontology").is_dir() and (folder / "shapes").is_dir():
            return folder
    return Path()


def _setting(default: Any, help: str) -> Any:
    if callable(default):
        return field(default_factory=default, metadata={"help": help})
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True)
class Settings:
    """What can be set; `docs/configuration.md` holds the same table, and a test compares."""

    store: Path = _setting(default_store, "Folder of the store.")
    files: Path = _setting(
        default_files, "Folder with ontology/, shapes/, queries/ and data/, which make the graph."
    )
    host: str = _setting("127.0.0.1", "Address on which the service listens.")
    port: int = _setting(8000, "Port on which the service listens.")
    readers: int = _setting(4, "Number of queries that run at once.")
    query_timeout: float = _setting(30.0, "Seconds of evaluation after which a query is stopped.")
    token_timeout: float = _setting(
        600.0, "Longest limit, in seconds, that a query may ask for which comes with a token."
    )
    query_memory: int = _setting(
        1024, "Megabytes that a query may take beyond the opened database before it is stopped."
    )
    slow_readers: int = _setting(
        8, "Number of queries that go on beside the short ones, to which they yield."
    )
    queue: int = _setting(
        32, "Number of queries that may wait for a place; more get a 503 at once."
    )
    client_rate: float = _setting(
        20.0, "Queries a second that one client may send; those of this machine are not counted."
    )
    client_burst: float = _setting(100.0, "Queries that one client may send at once.")
    client_concurrency: int = _setting(8, "Queries of one client that may be under way.")
    client_spool: int = _setting(
        512, "Megabytes of answers that one client may have that it has not read yet."
    )
    spool: int = _setting(
        2048, "Megabytes of answers that all clients together may have that they have not read yet."
    )
    cache_size: int = _setting(
        64, "Megabytes of answers that are kept for who asks the same again."
    )
    keep_versions: int = _setting(
        20, "Number of versions whose databases are kept; older ones are made again when asked for."
    )
    trusted_proxies: str = _setting(
        "",
        "Addresses or networks of proxies whose X-Forwarded-For, -Proto and -Host count, separated by commas; those of"
        " this machine always do.",
    )
    query_size: int = _setting(
        1_000_000, "Largest query text that is taken, in bytes; longer ones are answered with 413."
    )
    change_timeout: float = _setting(60.0, "Seconds that a change by HTTP may take.")
    change_memory: int = _setting(4096, "Megabytes that a change by HTTP may take.")
    upload_size: int = _setting(20_000_000, "Largest update or graph that is taken, in bytes.")
    access_log: str = _setting(
        "stderr", "Where each request leaves a line of JSON: a file, stderr, or none."
    )
    load_size: int = _setting(
        10_000_000_000, "Largest file, unpacked, that `kg4p1000 load` takes, in bytes."
    )
    network_filter: str = _setting(
        "required",
        "Whether the service starts where the kernel cannot take the network from what evaluates queries"
        " (`optional`) or not (`required`).",
    )
    public_url: str = _setting(
        "", "Address under which the service is known outside, for links; empty: the request's own."
    )


#: Types of the settings, what makes them of a value, and what a value must be.
_TYPES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "int": (int, "a whole number above zero"),
    "float": (float, "a number above zero"),
    "str": (str, "text"),
    "Path": (Path, "a path"),
}


def load(
    flags: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    file: Path | None = None,
) -> Settings:
    """Read the settings.

    Args:
        flags: values by field name; None means not given.
        environment: names with `ENVIRONMENT_PREFIX` count.
        file: a TOML file; without one, ``kg4p1000.toml`` of the working folder where it is there.

    Raises:
        BadSettings: an unknown key or a value of the wrong type, with where it stands.
    """
    values: dict[str, Any] = {}
    path = file or Path("kg4p1000.toml")
    if file or path.exists():
        try:
            values |= _typed(tomllib.loads(path.read_text(encoding="utf-8")), str(path))
        except (OSError, tomllib.TOMLDecodeError) as e:
            raise BadSettings(f"{path}: {e}") from e
    own = {
        name.removeprefix(ENVIRONMENT_PREFIX).lower(): value
        for name, value in (environment or {}).items()
        if name.startswith(ENVIRONMENT_PREFIX)
    }
    values |= _typed(own, f"the environment ({ENVIRONMENT_PREFIX}…)")
    values |= _typed({k: v for k, v in (flags or {}).items() if v is not None}, "the command line")
    return Settings(**values)


def _typed(given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return values of the types that the settings have."""
    types = {f.name: str(f.type) for f in fields(Settings)}
    result: dict[str, Any] = {}
    for name, value in given.items():
        if name not in types:
            raise BadSettings(f"{where}: unknown setting {name!r}; known are {', '.join(types)}.")
        convert, expected = _TYPES[types[name]]
        try:
            made = result[name] = convert(value)
            cut = convert is int and isinstance(value, float) and made != value
            endless = convert in (int, float) and not 0 < made < math.inf
            if isinstance(value, bool) or cut or endless:
                raise ValueError
        except (TypeError, ValueError, OverflowError):
            raise BadSettings(f"{where}: {name} is {value!r} and must be {expected}.") from None
    public = result.get("public_url")
    if public and not _ADDRESS.fullmatch(public):
        raise BadSettings(
            f"{where}: public_url is {public!r} and must be an address such as https://kg.example.org."
        )
    return result
