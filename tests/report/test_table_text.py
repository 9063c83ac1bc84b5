"""Tables of registries as text."""

from audit.report.table_text import table_text


def test_every_cell_stands_in_words_under_its_title():
    rows = [{"name": "npo", "known_better": True, "parameters": {"beta": 0.1, "on": False}, "most": None}]
    text = table_text(rows, ("name", "known_better", "parameters", "most"), width=80)
    head, rule, line = text.splitlines()
    assert [cell.strip() for cell in head.split("┃")] == ["name", "known better", "parameters", "most"]
    assert [cell.strip() for cell in line.split("│")] == ["npo", "yes", "beta=0.1, on=no", "∞"]
    assert set(rule) == {"━", "╇"}


def test_long_cells_are_folded_and_nothing_is_cut_off():
    rows = [{"name": "a", "about": "word " * 30}]
    lines = table_text(rows, ("name", "about"), width=40).splitlines()
    assert max(map(len, lines)) <= 40
    assert sum(line.count("word") for line in lines) == 30
