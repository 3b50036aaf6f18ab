"""A change log, or a backup of it, that lacks an entry or has one that was cut, changed or added: told at once."""

import hashlib
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from datetime import timedelta

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from pyoxigraph import Literal, NamedNode, Quad

from everything import some
from kg4p1000.cli import main
from kg4p1000.cli.checks import all_checks
from kg4p1000.kernel.errors import StoreUnusable
from kg4p1000.kernel.terms import iri
from kg4p1000.store import (
    Delta,
    Readers,
    Store,
    backup,
    changes,
    check,
    notes,
    restore,
)
from kg4p1000.store.verify import SUMS

GRAPH, S, P = iri("graph:a"), NamedNode("http://example.org/s"), NamedNode("http://example.org/p")
REGISTERED = Quad(GRAPH, iri("k4p:inDefaultGraph"), Literal(True), iri("graph:graphs"))
LAST = 6
#: One more row for an entry.
ROW = f'A {S} {P} "smuggled" {GRAPH} .\n'.encode()


def publish(store, added, removed=()):
    with store.draft() as draft:
        draft.apply(Delta.of(added, removed))
        return store.publish(draft, "tester", "a change", "test")


def number(n):
    return Quad(S, P, Literal(f"number {n}"), GRAPH)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A store of six versions, some of which remove too, and its backup."""
    folder = tmp_path_factory.mktemp("whole")
    store = Store(folder / "store")
    publish(store, [REGISTERED, *map(number, range(4))])
    for n in range(2, LAST + 1):
        publish(store, [number(n + 10), number(n + 20)], [number(n - 2)])
    assert backup(store, folder / "backup") == LAST
    return folder


def entry(folder, n):
    return folder / "log" / f"{n:08}.rdfp"


def delete(folder, n, at):
    entry(folder, n).unlink()


def cut(folder, n, at):
    data = entry(folder, n).read_bytes()
    entry(folder, n).write_bytes(data[: -1 - at % len(data)])


def flip(folder, n, at):
    data = bytearray(entry(folder, n).read_bytes())
    data[at % len(data)] ^= 1 << at % 7
    entry(folder, n).write_bytes(data)


def append(folder, n, at):
    with open(entry(folder, n), "ab") as file:
        file.write(ROW)


def insert(folder, n, at):
    data = entry(folder, n).read_bytes()
    entry(folder, n).write_bytes(data.replace(b"TC .\n", ROW + b"TC .\n"))


def recount(folder, n, at):
    """Insert a row and let the header count it."""
    insert(folder, n, at)
    data = entry(folder, n).read_bytes()
    told = int(re.search(rb'H added "(\d+)"', data)[1])
    data = data.replace(b'H added "%d"' % told, b'H added "%d"' % (told + 1))
    entry(folder, n).write_bytes(data)


def forge(folder, n, at):
    data = entry(folder, n).read_bytes()
    entry(folder, n).write_bytes(data.replace(b'"tester"', b'"forger"'))


def spoil(folder, n, at):
    data = entry(folder, n).read_bytes()
    entry(folder, n).write_bytes(re.sub(rb"(?m)^A .*$", b"A nonsense .", data, count=1))


def duplicate(folder, n, at):
    shutil.copy(entry(folder, n), entry(folder, LAST + 1))


def beyond(folder, n, at):
    shutil.copy(entry(folder, n), entry(folder, LAST + 2 + at))


def swap(folder, n, at):
    other = n % LAST + 1
    one, two = entry(folder, n).read_bytes(), entry(folder, other).read_bytes()
    entry(folder, n).write_bytes(two), entry(folder, other).write_bytes(one)


def stray(folder, n, at):
    shutil.copy(entry(folder, n), folder / "log" / f"{n}-copy.rdfp")


def nought(folder, n, at):
    shutil.copy(entry(folder, n), entry(folder, 0))


DAMAGES = [
    delete, cut, flip, append, insert, recount, forge, spoil, duplicate, beyond, swap, stray, nought,
]  # fmt: skip
damages = st.tuples(st.sampled_from(DAMAGES), st.integers(1, LAST), st.integers(0, 2000))
once = settings(max_examples=settings().max_examples // 4)
each = pytest.mark.parametrize("n", some(range(1, LAST + 1), 3))
every = pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)


def damaged(source, to, damage):
    shutil.copytree(source, to)
    damage[0](to, *damage[1:])
    return to


def refused(backup, path):
    """What is said when a backup is refused; nothing is left then."""
    with pytest.raises(StoreUnusable) as caught:
        restore(backup, path)
    assert not path.exists()
    return caught.value.detail


def found(path):
    """What is found in a store, by whoever is first: the opening or the check."""
    try:
        return check(Store(path))
    except StoreUnusable as e:
        return [e.detail]


@each
@every
def test_a_damaged_backup_is_refused_in_words(whole, tmp_path, damage, n):
    backup = damaged(whole / "backup", tmp_path / "backup", (damage, n, 7))
    assert "not whole" in refused(backup, tmp_path / "new")
    (backup / SUMS).unlink()  # as one that an earlier release made
    assert "not whole" in refused(backup, tmp_path / "new")


@each
@every
def test_a_damaged_log_is_found_with_and_without_the_databases(whole, tmp_path, damage, n):
    folder = damaged(whole / "store", tmp_path / "store", (damage, n, 7))
    assert found(folder)
    shutil.rmtree(folder / "versions")
    assert found(folder)


@given(damages)
@once
def test_any_damage_is_found_and_no_backup_of_it_is_made(tmp_path_factory, whole, damage):
    folder = tmp_path_factory.mktemp("any")
    copy = damaged(whole / "backup", folder / "backup", damage)
    assert refused(copy, folder / "new")
    (copy / SUMS).unlink()
    assert refused(copy, folder / "new")
    store = Store(damaged(whole / "store", folder / "store", damage))
    assert check(store)
    with pytest.raises(StoreUnusable, match="could not be restored"):
        backup(store, folder / "another")
    assert not (folder / "another").exists()


@pytest.mark.parametrize(
    "damage", [cut, flip, append, insert, recount, forge, spoil, duplicate, beyond, stray]
)
def test_no_change_is_built_on_a_damaged_newest_entry(whole, tmp_path, damage):
    folder = damaged(whole / "store", tmp_path / "store", (damage, LAST, 300))
    store = Store(folder)
    assert store.current == LAST
    assert number(LAST + 10) in set(store.quads())
    before = sorted(path.name for path in folder.rglob("*"))
    with pytest.raises(StoreUnusable):
        publish(store, [number(99)])
    assert sorted(path.name for path in folder.rglob("*")) == before


def test_a_lost_newest_entry_does_not_take_the_published_version_back(whole, tmp_path):
    folder = damaged(whole / "store", tmp_path / "store", (delete, LAST, 0))
    store = Store(folder)
    assert store.current == LAST
    assert check(store) == [f"Entry {LAST} is missing from the change log."]
    (folder / "current").unlink()
    assert found(folder) == check(store)


def test_a_missing_entry_is_told_before_anything_is_made(whole, tmp_path):
    backup = damaged(whole / "backup", tmp_path / "backup", (delete, 3, 0))
    began = time.monotonic()
    assert "log/00000003.rdfp is missing." in refused(backup, tmp_path / "new")
    (backup / SUMS).unlink()
    assert "Entry 3 is missing from the change log." in refused(backup, tmp_path / "new")
    assert time.monotonic() - began < 60


def test_the_hash_of_the_newest_entry_must_be_in_a_backup(whole, tmp_path):
    backup = shutil.copytree(whole / "backup", tmp_path / "backup")
    (backup / "log" / f"{LAST:08}.sha256").unlink()
    assert f"log/{LAST:08}.sha256 is missing." in refused(backup, tmp_path / "new")
    (backup / SUMS).unlink()
    assert f"log/{LAST:08}.sha256, is missing." in refused(backup, tmp_path / "new")


@pytest.mark.parametrize("lost", ["missing", "empty"])
def test_a_hash_that_a_power_failure_took_is_a_note_and_stands_in_the_backup(whole, tmp_path, lost):
    folder = shutil.copytree(whole / "store", tmp_path / "store")
    beside = entry(folder, LAST).with_suffix(".sha256")
    if lost == "empty":
        beside.write_bytes(b"")
    else:
        beside.unlink()
    store = Store(folder)
    assert check(store) == []
    assert notes(store) == ["the hash of the newest entry was lost, as after a power failure"]
    backup(store, tmp_path / "backup")
    assert notes(restore(tmp_path / "backup", tmp_path / "new")) == []
    assert publish(store, [number(99)]).version == LAST + 1
    assert (check(store), notes(store)) == ([], [])


@pytest.mark.parametrize(
    "part", ["current", "builds/00000001.nq", "checked", "log/00000002.sha256"]
)
@pytest.mark.parametrize("how", ["missing", "changed", "added"])
def test_every_file_of_a_backup_is_verified(whole, tmp_path, part, how):
    source = shutil.copytree(whole / "store", tmp_path / "source")
    (source / "builds" / "00000001.nq").write_text("")
    (source / "checked").write_text("x")
    backup(Store(source), tmp_path / "backup")
    path = tmp_path / "backup" / part
    if how == "missing":
        path.unlink()
    elif how == "changed":
        path.write_bytes(path.read_bytes() + b"x")
    else:
        part += "-more"
        path.with_name(path.name + "-more").write_text("")
    verb = {"missing": "is missing", "changed": "was changed", "added": "was added"}[how]
    assert f"{part} {verb}" in refused(tmp_path / "backup", tmp_path / "new")


def test_the_list_of_hashes_is_one_that_other_tools_check(whole, tmp_path):
    backup = shutil.copytree(whole / "backup", tmp_path / "backup")
    done = subprocess.run(
        ["sha256sum", "-c", "--strict", SUMS],
        cwd=backup,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    listed = {line.rpartition(": ")[0] for line in done.stdout.splitlines()}
    there = {p.relative_to(backup).as_posix() for p in backup.rglob("*") if p.is_file()}
    assert listed == there - {SUMS}
    forge(backup, 2, 0)
    assert subprocess.run(
        ["sha256sum", "-c", SUMS], cwd=backup, capture_output=True, check=False
    ).returncode


@pytest.mark.parametrize("text", ["nonsense\n", "\xff\n", "", f"{'0' * 64}  ../../outside\n"])
def test_a_list_of_hashes_that_is_none_is_refused(whole, tmp_path, text):
    backup = shutil.copytree(whole / "backup", tmp_path / "backup")
    (backup / SUMS).write_text(text, encoding="latin-1")
    assert "not whole" in refused(backup, tmp_path / "new")


@pytest.mark.parametrize("text", ["", "x\n", "-3\n", "99999999\n", "7\n"])
def test_a_backup_of_an_earlier_release_says_how_far_it_goes(whole, tmp_path, text):
    backup = shutil.copytree(whole / "backup", tmp_path / "backup")
    (backup / SUMS).unlink()
    assert restore(backup, tmp_path / "good").current == LAST
    (backup / "current").write_text(text)
    assert "not whole" in refused(backup, tmp_path / "new")


def test_a_backup_and_a_restoration_tell_how_far_they_are(whole, tmp_path):
    told = []
    backup(Store(whole / "store"), tmp_path / "backup", lambda *how: told.append(how))
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1] > 0
    told.clear()
    restore(tmp_path / "backup", tmp_path / "new", lambda *how: told.append(how))
    assert sum(done == total for done, total in told) >= 2  # verified, and made
    assert len(told) > 2 * LAST


def test_an_entry_that_a_crash_left_unpublished_is_taken_up_and_one_that_does_not_follow_is_not(
    whole, tmp_path
):
    folder = shutil.copytree(whole / "store", tmp_path / "store")
    (folder / "current").write_text(f"{LAST - 2}\n")
    for n in (LAST - 1, LAST):
        shutil.rmtree(folder / "versions" / f"{n:08}")
    other = shutil.copytree(folder, tmp_path / "other")
    assert Store(folder).current == LAST
    data = entry(other, LAST).read_bytes()
    previous = re.search(rb'H previous "(\w+)"', data)[1]
    entry(other, LAST).write_bytes(data.replace(previous, b"1" * 64))
    entry(other, LAST).with_suffix(".sha256").unlink()
    store = Store(other)  # what is published can be read
    assert store.current == LAST - 2
    with pytest.raises(StoreUnusable, match="does not follow"):
        publish(store, [number(99)])
    assert any("does not follow" in finding for finding in check(store))


def test_a_crash_between_hash_and_entry_leaves_nothing(whole, tmp_path):
    folder = shutil.copytree(whole / "store", tmp_path / "store")
    (folder / "log" / f"{LAST + 1:08}.sha256").write_text("0" * 64 + "\n")
    store = Store(folder)
    assert (store.current, check(store)) == (LAST, [])
    assert publish(store, [number(99)]).version == LAST + 1
    assert check(store) == []


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def run(*args):
    return CliRunner().invoke(main, [str(arg) for arg in args])


@pytest.mark.parametrize(
    "verb",
    [
        ("query", "--sparql", "ASK {}"),
        ("serve",),
        ("diff", "1", "2"),
        ("check",),
        ("undo", "2"),
        ("build",),
    ],
    ids=lambda verb: verb[0],
)
@pytest.mark.parametrize("damage", [delete, cut, spoil, append, duplicate])
def test_every_verb_ends_in_words_when_the_log_is_damaged_and_no_database_is_there(
    whole, tmp_path, verb, damage
):
    folder = damaged(whole / "store", tmp_path / "store", (damage, LAST - 1, 9))
    shutil.rmtree(folder / "versions")
    (folder / "versions").mkdir()
    port = ("--port", free_port()) if verb == ("serve",) else ()
    done = run(*verb, *port, "--store", folder)
    assert done.exit_code == 1, done.output
    assert isinstance(done.exception, SystemExit)
    assert "The store cannot be used." in done.output
    assert re.search(r"entry|change log", done.output, re.I)


def test_a_process_ends_at_once_when_an_entry_is_missing(whole, tmp_path):
    folder = damaged(whole / "store", tmp_path / "store", (delete, 3, 0))
    shutil.rmtree(folder / "versions")
    done = subprocess.run(
        [sys.executable, "-m", "kg4p1000.cli", "query", "--sparql", "ASK {}", "--store", str(folder)],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Entry 3 is missing from the change log." in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_restore_says_on_the_command_line_what_is_wrong(whole, tmp_path):
    backup = damaged(whole / "backup", tmp_path / "backup", (delete, 2, 0))
    done = run("restore", backup, "--store", tmp_path / "new")
    assert done.exit_code == 1
    assert "log/00000002.rdfp is missing." in done.output
    assert not (tmp_path / "new").exists()
    assert run("restore", whole / "backup", "--store", tmp_path / "new").exit_code == 0


def test_a_clock_that_was_set_back_is_a_note_of_the_check(tmp_path, monkeypatch):
    store = Store(tmp_path / "store")
    now = changes.now()
    for n, hours in enumerate((0, 1, -2, 3)):
        monkeypatch.setattr(changes, "now", lambda then=now + timedelta(hours=hours): then)
        publish(store, [number(n)])
    (note,) = notes(store)
    assert note.startswith("the clock was set back: version 3 says ")
    readers = Readers(store, 1, timeout=600)
    checks = dict(all_checks(store, tmp_path, readers))
    findings, told = checks["change log matches the store"](lambda done, total: None)
    readers.close()
    assert (findings, told) == ([], f"4 versions; {note}")


def test_the_hash_beside_an_entry_is_of_that_entry(whole):
    for n in range(1, LAST + 1):
        path = entry(whole / "store", n)
        told = path.with_suffix(".sha256").read_text().strip()
        assert told == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.usefixtures("toy_by_default")
@pytest.mark.parametrize("what", ["a pipe", "a device"])
def test_what_has_no_end_is_no_entry(whole, tmp_path, what):
    """A file that would be read for ever is told as what it is."""

    def replace(folder):
        entry(folder, 3).unlink()
        os.mkfifo(entry(folder, 3)) if what == "a pipe" else entry(folder, 3).symlink_to(
            "/dev/zero"
        )

    backup, store = (shutil.copytree(whole / name, tmp_path / name) for name in ("backup", "store"))
    replace(backup), replace(store)
    for words in (
        ["restore", str(backup), "--store", str(tmp_path / "new")],
        ["check", "--store", str(store)],
    ):
        command = [sys.executable, "-m", "kg4p1000.cli", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert "00000003.rdfp" in done.stdout + done.stderr
