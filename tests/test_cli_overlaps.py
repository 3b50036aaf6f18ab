"""The commands about overlaps: what goes together, and what is told when it does not."""

import pytest
from click.testing import CliRunner
from pyoxigraph import Literal, Quad

from kg4p1000.cli import main
from kg4p1000.kernel.terms import iri
from kg4p1000.store import Delta

HEADER = "id,title,description,language\n"


@pytest.fixture
def run(store):
    """Run a command on the real graph, which these change nothing of."""

    def made(*arguments):
        return CliRunner().invoke(main, [*arguments, "--store", str(store.path)])

    return made


@pytest.fixture
def table(tmp_path):
    def made(*rows):
        path = tmp_path / "other.csv"
        path.write_text(HEADER + "".join(f"{row}\n" for row in rows), encoding="utf-8")
        return str(path)

    return made


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--between", "A4", "A4"], "across objectives"),
        (["--between", "F2", "A4"], "no activities for objective F2"),
        (["--between", "Z1", "A4"], "There is no objective Z1; there are A1, "),
        (["--min-confidence", "2"], "not in the range 0<=x<=1"),
        (["--min-confidence", "nan"], "not a number from 0 to 1"),
        (["--alone"], "--alone goes only with --activities"),
        (["--best", "3"], "--best goes only with --activities"),
        (["--best", "-1"], "x>=1"),
        (["queue", "--first", "-3"], "x>=1"),
        (["decide", "foo", "bar", "--status", "rejected"], "'foo' is not the notation"),
        (["decide", "a4.2", "d2.3", "--status", "rejected"], "'a4.2' is not the notation"),
        (["decide", "A4.1", "D2.1 x", "--status", "rejected"], "'D2.1 x' is not the notation"),
        (["decide", "A4.1", "Z9.9", "--status", "rejected"], "no activity Z9.9"),
        (["decide", "A4.1", "Z9.9", "--status", "rejected", "--dry-run"], "no activity Z9.9"),
        (["decide", "A4.1", "D2.6", "--status", "rejected", "--why", " "], "needs why"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_do(run, store, options, told):
    if "decide" in options:
        options = [*options[:1], "--author", "Kim", "--why", "No.", *options[1:]]
    before = store.current
    done = run("overlaps", *options)
    assert done.exit_code == 2, done.output
    assert told in " ".join(done.stderr.split()), done.stderr
    assert store.current == before


@pytest.mark.parametrize(
    "option",
    [("--between", "A4", "D2"), ("--status", "proposed"), ("--kind", "overlaps"), ("--update",), ("--to-file",)],
)  # fmt: skip
def test_filters_of_the_graph_do_not_go_with_a_file(run, table, option):
    done = run("overlaps", "--activities", table("x,Poll,Poll of members,en"), *option)
    assert done.exit_code == 2
    assert f"{option[0]} does not go with --activities" in done.stderr


def test_the_least_confidence_goes_with_a_file(run, table):
    given = ["overlaps", "--activities", table("x,Launch a poll,Poll of expectations,en")]
    every, sure = (
        run(*given, "--format", "csv", "--min-confidence", least).stdout.splitlines()[1:]
        for least in ("0", "0.3")
    )
    assert len(every) == 5
    assert sure == [row for row in every if float(row.split(",")[4]) >= 0.3]
    assert run(*given, "--min-confidence", "1").exit_code == 0


@pytest.mark.parametrize(
    ("rows", "told"),
    [([], "no rows below its header"), (["x,Umfrage,Eine Umfrage,de"], "those that are: en, fr, es")],
)  # fmt: skip
def test_a_file_that_cannot_be_compared_is_refused(run, table, rows, told):
    done = run("overlaps", "--activities", table(*rows))
    assert done.exit_code != 0
    assert told in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("overlaps",), ("overlaps", "--update"), ("overlaps", "queue"), ("mappings",), ("dump",),
        ("query", "glossary"), ("diff", "1", "2"), ("check",), ("undo", "1"), ("backup", "x"),
        ("overlaps", "decide", "A4.2", "D2.3", "--status", "accepted", "--author", "Kim", "--why", "Yes."),
    ],
)  # fmt: skip
def test_a_command_that_needs_a_graph_makes_no_store(tmp_path, arguments):
    folder = tmp_path / "new"
    done = CliRunner().invoke(main, [*arguments, "--store", str(folder)])
    assert done.exit_code == 2, done.output
    assert "'kg4p1000 build' makes one" in done.stderr
    assert not folder.exists()


@pytest.mark.usefixtures("toy_by_default")
def test_undo_of_what_overlaps_rest_on_is_followed_by_the_detection(toy_store):
    store = toy_store()
    with store.draft() as draft:
        going = frozenset(q for q in draft.quads() if "/overlap/A4.2-" in str(q.subject))
        draft.apply(Delta(removed=going))
        store.publish(draft, "t", "", "update")
    with store.draft() as draft:
        draft.apply(
            Delta(
                frozenset(
                    {Quad(iri("activity:A4.2"), iri("k4p:x"), Literal(1), iri("graph:notes"))}
                )
            )
        )
        version = store.publish(draft, "t", "", "update").version
    done = CliRunner().invoke(main, ["undo", str(version), "--store", str(store.path)])
    assert done.stdout.endswith("published: overlaps detected anew.\n"), done.output
    assert going <= set(store.quads())
