"""The commands: exit 0 done, 1 the answer is no, 2 unusable input with a line per fault and nothing written."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import lottery
from command_line import Captured
from lottery.cli.main import main
from worked_examples import case, market_of, matched, seeds_of

ROOT = Path(__file__).parents[3]
SEED = "11" * 32
EARLIER = "r1=" + "11" * 32


def write_market(folder: Path, name: str = "everything_main_round") -> str:
    path = folder / "market.json"
    path.write_text(json.dumps(market_of(name)), encoding="utf-8")
    return str(path)


def write_outcome(folder: Path, name: str = "everything_main_round") -> str:
    _, outcome, _ = matched(name)
    path = folder / "outcome.json"
    path.write_bytes(outcome.to_bytes())
    return str(path)


def faults(capsys: Captured) -> list[str]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()


def test_match_writes_the_outcome_and_nothing_else(tmp_path: Path, capsys: Captured) -> None:
    path = tmp_path / "outcome.json"

    assert main(["match", write_market(tmp_path), "--seed", SEED, "-o", str(path)]) == 0

    assert path.read_bytes() == matched("everything_main_round")[1].to_bytes()
    assert capsys.readouterr() == ("", "")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["market.json", "outcome.json"]


def test_match_without_a_file_writes_to_standard_output(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    market = write_market(tmp_path)
    command = [sys.executable, "-m", "lottery", "match", market, "--seed", SEED, "--engine", "reference"]

    printed = subprocess.run(command, capture_output=True, check=True)

    assert printed.stdout == matched("everything_main_round")[1].to_bytes()
    assert printed.stderr == b""
    assert capfdbinary.readouterr() == (b"", b"")


def test_a_backfill_round_takes_the_seeds_of_earlier_rounds(tmp_path: Path, capsys: Captured) -> None:
    name = "everything_backfill_round"
    market, path = write_market(tmp_path, name), str(tmp_path / "outcome.json")
    seed, _ = seeds_of(name)

    assert main(["match", market, "--seed", seed.hex(), "--seed-of", EARLIER, "-o", path]) == 0
    assert main(["verify", market, path, "--seed-of", EARLIER]) == 0
    assert main(["explain", market, path, "--seed-of", EARLIER, "--applicant", "t5b9b8478c44d"]) == 0
    assert json.loads(Path(path).read_bytes())["placements"] == dict(case(name))["outcome"]["placements"]  # type: ignore[index,call-overload]
    assert "The outcome is right" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--seed", SEED], "seed: $: applicants were drawn in r1; give the seed of each such round"),
        (["--seed", SEED, "--seed-of", EARLIER, "--seed-of", "r1=" + "00" * 32], "seed: $: round r1 has two different"),
        (["--seed", "11" * 31], "lottery match: argument --seed: a seed has 64 hex digits, this has 62 characters"),
        (["--seed", " 1" * 32], "lottery match: argument --seed: a seed has 64 hex digits"),
        (["--seed", "x1" * 32], "lottery match: argument --seed: a seed has 64 hex digits"),
        (["--seed", SEED, "--seed-of", "11" * 32], "lottery match: argument --seed-of: give ROUND=HEX"),
        (["--seed", SEED, "--engine", "slow"], "lottery match: argument --engine: invalid choice: 'slow'"),
        ([], "lottery match: the following arguments are required: --seed"),
    ],
)
def test_an_unusable_seed_is_one_line_and_nothing_is_written(
    arguments: list[str], line: str, tmp_path: Path, capsys: Captured
) -> None:
    market, path = write_market(tmp_path, "everything_backfill_round"), tmp_path / "outcome.json"

    assert exit_code(["match", market, "-o", str(path), *arguments]) == 2

    (printed,) = faults(capsys)
    assert printed.startswith(line)
    assert not path.exists()


def exit_code(arguments: list[str]) -> int:
    """Run a command of which argparse refuses the words, or the command itself the values."""
    try:
        return main(arguments)
    except SystemExit as leaving:
        return int(leaving.code or 0)


def test_a_faulty_market_is_a_line_per_fault_and_the_former_outcome_stays(tmp_path: Path, capsys: Captured) -> None:
    market, path = tmp_path / "market.json", tmp_path / "outcome.json"
    market.write_text('{"format": "lottery-market/1", "round": {"id": "r", "kind": "summer"}}', encoding="utf-8")
    path.write_text("the former outcome", encoding="utf-8")

    assert main(["match", str(market), "--seed", SEED, "-o", str(path)]) == 2

    assert faults(capsys) == [
        f"{market}: $.applicants: this required key is missing; add it",
        f"{market}: $.programs: this required key is missing; add it",
        f'{market}: $.round.kind: this word is not allowed here; give one of "main", "backfill"',
    ]
    assert path.read_text(encoding="utf-8") == "the former outcome"


@pytest.mark.parametrize("place", ["nowhere/outcome.json", "folder"])
def test_a_place_that_cannot_be_written_is_a_fault(place: str, tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "folder").mkdir()

    assert main(["match", write_market(tmp_path), "--seed", SEED, "-o", str(tmp_path / place)]) == 2

    (line,) = faults(capsys)
    assert line.endswith("check the path and its permissions")


def test_the_market_is_never_overwritten_by_its_outcome(tmp_path: Path, capsys: Captured) -> None:
    market = write_market(tmp_path)
    before = Path(market).read_bytes()

    assert main(["match", market, "--seed", SEED, "-o", market]) == 2

    assert faults(capsys) == [f"{market}: $: is the market file; choose another file"]
    assert Path(market).read_bytes() == before


def test_a_device_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    assert main(["match", write_market(tmp_path), "--seed", SEED, "-o", os.devnull]) == 0

    assert not Path(os.devnull).is_file()


def test_the_report_says_of_what_each_share_is_one(tmp_path: Path, capsys: Captured) -> None:
    market, path = write_market(tmp_path), str(tmp_path / "outcome.json")

    assert main(["match", market, "--seed", SEED, "--report", "-o", path]) == 0

    printed = capsys.readouterr().out
    assert "of 28 applicants" in printed
    assert "of 13 with a seat" in printed
    assert "Seats: 13 of 17 filled (76.5 %), 4 empty. 3 of 5 programs with seats are full." in printed


def test_verify_prints_each_check_and_says_yes(tmp_path: Path, capsys: Captured) -> None:
    assert main(["verify", write_market(tmp_path), write_outcome(tmp_path)]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "The outcome is right. With a seat: 13 children. Without: 15."
    assert len(lines) == 17
    assert all(line.startswith("yes  ") for line in lines[:-1])


def test_verify_says_no_and_names_rule_applicant_and_program(tmp_path: Path, capsys: Captured) -> None:
    market, path = write_market(tmp_path), Path(write_outcome(tmp_path))
    document = json.loads(path.read_bytes())
    document["placements"][0]["group"] = "open"
    path.write_text(json.dumps(document), encoding="utf-8")

    assert main(["verify", market, str(path)]) == 1

    printed = capsys.readouterr().out
    complaint = "program s1-kg: group open has more placements (1) than seats (0)"
    assert f"NO   no seat group has more placements than seats\n       {complaint}" in printed
    assert "applicant t00e8a9366b0a: program s1-kg: the reference gives s1-kg/r1" in printed
    assert printed.splitlines()[-1].startswith("The outcome is wrong. ")


def test_names_in_a_forged_outcome_cannot_fool_the_terminal(tmp_path: Path, capsys: Captured) -> None:
    market, path = write_market(tmp_path), Path(write_outcome(tmp_path))
    document = json.loads(path.read_bytes())
    document["unplaced"].append("\x1b[2J\nyes  all is well")
    path.write_text(json.dumps(document), encoding="utf-8")

    assert main(["verify", market, str(path)]) == 1

    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "\nyes  all is well" not in printed


def test_an_outcome_that_is_none_is_unusable(tmp_path: Path, capsys: Captured) -> None:
    path = tmp_path / "outcome.json"
    path.write_text('{"format": "lottery-outcome/1", "seed": 7}', encoding="utf-8")

    assert main(["verify", write_market(tmp_path), str(path)]) == 2

    assert f"{path}: $.placements: this required key is missing; add it" in faults(capsys)


def test_explain_in_json_has_facts_sentences_and_direction(tmp_path: Path, capsys: Captured) -> None:
    market, path = write_market(tmp_path), write_outcome(tmp_path)

    assert main(["explain", market, path, "--applicant", "tb7690ff9c344", "--lang", "ar", "--json"]) == 0

    explained = json.loads(capsys.readouterr().out)
    assert explained["placement"] == {"program": "s1-kg", "group": "r0", "choice": 3}
    assert [program["program"] for program in explained["programs"]] == ["s0-kg", "s2-kg", "s1-kg"]
    assert explained["programs"][0]["groups"][0]["decided"] == "no seats"
    assert (explained["in_words"]["language"], explained["in_words"]["direction"]) == ("ar", "rtl")
    assert "طفلك" in explained["in_words"]["lines"][1]
    assert "الرغبة" in explained["in_words"]["lines"][2]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["--applicant", "nobody"],
            "--applicant: $: the market has no applicant nobody; give the id ",
        ),
        (["--applicant", "tb7690ff9c344", "--lang", "tlh"], "--lang: $: the language is not available; "),
    ],
)
def test_explain_refuses_whom_and_what_it_does_not_know(
    arguments: list[str], line: str, tmp_path: Path, capsys: Captured
) -> None:
    assert main(["explain", write_market(tmp_path), write_outcome(tmp_path), *arguments]) == 2

    (printed,) = faults(capsys)
    assert printed.startswith(line)


def test_explain_refuses_the_outcome_of_another_market(tmp_path: Path, capsys: Captured) -> None:
    market, outcome = write_market(tmp_path, "zero_capacity"), write_outcome(tmp_path)

    assert main(["explain", market, outcome, "--applicant", "a"]) == 2

    assert "the outcome belongs to another market" in faults(capsys)[0]


@pytest.mark.parametrize("name", ["city.json", "city.zip", "city"])
def test_generate_makes_a_city_and_the_summer_after_it(name: str, tmp_path: Path, capsys: Captured) -> None:
    city = ["--applicants", "300", "--programs", "60", "--seed", "5"]
    market, outcome, summer = str(tmp_path / name), str(tmp_path / "outcome.json"), str(tmp_path / "summer.json")
    later, seed_of = str(tmp_path / "later.json"), f"2027-main={SEED}"

    assert main(["generate", *city, "-o", market]) == 0
    assert main(["match", market, "--seed", SEED, "-o", outcome]) == 0
    assert main(["generate", *city, "--round", "backfill", "--after", outcome, "-o", summer]) == 0
    assert main(["match", summer, "--seed", "22" * 32, "--seed-of", seed_of, "-o", later]) == 0
    assert main(["verify", summer, later, "--seed-of", seed_of]) == 0
    assert capsys.readouterr().err == ""
    assert lottery.load_market(summer).is_backfill


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "the size of the market is missing"),
        (["--programs", "0"], "programs is 0; give 1 or more"),
        (["--programs", "5", "--schools", "2"], "programs and schools both"),
        (["--schools", "2", "--shape", "uniform"], "a uniform market has no schools"),
        (["--programs", "5", "--round", "backfill"], "--round backfill and --after go together"),
    ],
)
def test_generate_refuses_what_cannot_be_made(
    arguments: list[str], problem: str, tmp_path: Path, capsys: Captured
) -> None:
    assert main(["generate", "--applicants", "9", "--seed", "1", "-o", str(tmp_path / "city"), *arguments]) == 2

    (line,) = faults(capsys)
    assert problem in line
    assert list(tmp_path.iterdir()) == []


def test_generate_refuses_to_go_on_from_another_citys_outcome(tmp_path: Path, capsys: Captured) -> None:
    outcome = write_outcome(tmp_path)
    city = ["--applicants", "9", "--programs", "5", "--seed", "1", "--round", "backfill", "--after", outcome]

    assert main(["generate", *city, "-o", str(tmp_path / "summer.json")]) == 2

    assert f"{outcome}: $.market: belongs to another market" in faults(capsys)[0]


def test_no_command_is_told_what_there_is(capsys: Captured) -> None:
    assert exit_code([]) == 2
    assert "see lottery --help" in faults(capsys)[0]


def until_closed(terminal: int) -> Iterator[bytes]:
    """Yield what a terminal shows, until no process writes to it."""
    with suppress(OSError):  # how Linux says that the other end is closed
        while part := os.read(terminal, 1 << 16):
            yield part


def test_a_bar_is_shown_on_a_terminal_and_only_there(tmp_path: Path) -> None:
    market, path = write_market(tmp_path), str(tmp_path / "outcome.json")
    command = [sys.executable, "-m", "lottery", "match", market, "--seed", SEED, "-o", path]
    terminal, its_end = pty.openpty()

    with subprocess.Popen(command, stderr=its_end, env={**os.environ, "TERM": "xterm"}) as process:
        os.close(its_end)
        shown = b"".join(until_closed(terminal))

    assert process.returncode == 0
    assert b"matching" in shown
    os.close(terminal)


def test_what_an_auditor_runs_needs_nothing_but_python_and_the_folder(tmp_path: Path) -> None:
    """Without site-packages, from a folder that holds the package alone."""
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone" / "lottery").symlink_to(ROOT / "lottery")
    market, path = write_market(tmp_path), str(tmp_path / "outcome.json")
    where = str(tmp_path / "alone")
    run = f"import sys; sys.path.insert(0, {where!r}); from lottery.cli.main import main; sys.exit(main())"
    alone = [sys.executable, "-I", "-S", "-c", run]

    subprocess.run([*alone, "match", market, "--seed", SEED, "-o", path], check=True)
    verified = subprocess.run([*alone, "verify", market, path], check=True, capture_output=True, text=True)

    assert "The outcome is right" in verified.stdout
