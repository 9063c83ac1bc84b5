import numpy as np
from hand_made import Audit, imported

from audit.plan.assemble import Assembly
from audit.plan.groups import groups, of_column


def grouped(audit, **labels):
    """Measurements in which subjects carry a group: ``f000="children"``."""
    made = audit.measurements()
    made.units["group"] = [
        labels.get(s, old) for s, old in zip(made.units["subject"], made.units["group"], strict=True)
    ]
    return Assembly(made)


def test_groups_know_who_was_opened_and_how_many_the_list_has():
    """Children: 0 and 1 opened, one sealed; adults: 2 and 3 opened."""
    made = Audit(forget=4, sealed=1)
    assembly = grouped(made, f000="children", f001="children", f002="adults", f003="adults", s000="children")
    found = {group.name: group for group in of_column(assembly, "forget", "group")}
    assert sorted(found) == ["adults", "children"]
    assert found["children"].population == 3
    assert np.array(assembly.opened("forget"))[found["children"].chosen].tolist() == ["f000", "f001"]
    assert found["adults"].population == 2


def test_a_column_with_one_value_tells_nobody_apart():
    assert groups(Assembly(Audit(forget=4).measurements()), "forget") == []
    assert groups(Assembly(Audit(retain=4).measurements()), "retain") == []


def test_halves_of_a_cross_fitted_attack_are_groups_of_the_forget_side():
    made = Audit(forget=4, halves={"f001": 2, "f003": 2})
    assert [(g.name, g.population) for g in groups(Assembly(made.measurements()), "forget")] == [
        ("half 1", 2),
        ("half 2", 2),
    ]


def test_units_of_earlier_audits_are_a_stratum_of_their_own_and_no_group():
    """Their mark stands where a group would; alone it makes no groups."""
    assert of_column(Assembly(Audit(forget=4, before=2).measurements()), "forget", "group") == []
    labels = {"f000": "a", "f001": "a", "f002": "b", "f003": "b"}
    found = of_column(grouped(Audit(forget=4, before=2), **labels), "forget", "group")
    assert [(g.name, g.population) for g in found] == [("a", 2), ("b", 2), ("opened before", 2)]


def test_a_list_that_is_not_in_the_table_has_no_groups():
    """An import of some of 50 named units: how many of a group are on the list is not known."""
    made = imported(Audit(forget=4, retain=2, candidates=("npo",)))
    made.header["lists"] = {
        side: {"name": side, "digest": "", "size": size, "drawn": "lock+logs"}
        for side, size in (("forget", 50), ("retain", 2))
    }
    assert of_column(grouped(made, f000="a", f001="b"), "forget", "group") == []
