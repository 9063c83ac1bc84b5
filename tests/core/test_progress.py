"""Progress: one JSON line per change of state, nothing otherwise."""

import io
import json

from audit.core.progress import Bars, JsonLines, NullProgress, for_terminal


def told(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_every_change_of_state_is_one_json_line_with_what_is_done_and_left():
    stream = io.StringIO()
    progress = JsonLines(stream)
    progress.start("score", 3)
    progress.advance("score", 2, "npo under none")
    progress.advance("score", 0, "nothing happened")
    progress.advance("score")
    progress.finish("score")
    lines = told(stream)
    assert [(x["state"], x["done"], x["total"]) for x in lines] == [
        ("start", 0, 3),
        ("advance", 2, 3),
        ("advance", 3, 3),
        ("done", 3, 3),
    ]
    assert [x.get("message") for x in lines] == [None, "npo under none", None, None]
    assert all(x["stage"] == "score" and x["elapsed_seconds"] >= 0 for x in lines)


def test_two_stages_count_apart():
    stream = io.StringIO()
    progress = JsonLines(stream)
    progress.start("a", 1)
    progress.start("b", 5)
    progress.advance("a")
    progress.advance("b", 4)
    assert [(x["stage"], x["done"]) for x in told(stream)[2:]] == [("a", 1), ("b", 4)]


def test_the_null_object_says_nothing(capsys):
    progress = NullProgress()
    progress.start("a", 1)
    progress.advance("a")
    progress.finish("a")
    assert capsys.readouterr() == ("", "")


def test_bars_take_every_call_that_a_stage_makes():
    progress = Bars()
    progress.start("known", 2)
    progress.start("unknown", 0)
    progress.advance("known", 1, "message")
    progress.advance("unknown")
    progress.finish("unknown")
    progress.finish("known")


def test_without_a_terminal_progress_is_json_lines_and_quiet_is_nothing():
    assert isinstance(for_terminal(), JsonLines)  # pytest's standard error is no terminal
    assert isinstance(for_terminal(quiet=True), NullProgress)
