"""Fixed sequence, fallback and graphs: worked by hand, and against the closed tests that they abbreviate."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.risk.multiplicity.base import PROCEDURES
from audit.risk.multiplicity.graph import Graph

DELTA = 0.0501  # on no boundary of the levels below
# Steps between the levels delta / 6, …, delta of six hypotheses.
P_VALUES = st.lists(
    st.sampled_from([0.0005, 0.005, 0.0095, 0.011, 0.0145, 0.02, 0.03, 0.042, 0.046, 0.049, 0.06, 1.0]),
    min_size=1,
    max_size=6,
)
ORDERS = st.randoms(use_true_random=False)


def reject(text, p_values, delta=DELTA, size=None, order=None):
    order = range(len(p_values)) if order is None else order
    return PROCEDURES.build(text).reject(np.array(p_values), delta, size or len(p_values), order).tolist()


def shuffled(random, count):
    order = list(range(count))
    random.shuffle(order)
    return order


# -- by hand ---------------------------------


def test_a_fixed_sequence_tests_each_at_delta_and_ends_at_the_first_failure():
    assert reject("fixed_sequence", [0.04, 0.049, 0.051, 0.0], 0.05) == [True, True, False, False]
    assert reject("fixed_sequence", [0.04, 0.049, 0.051, 0.0], 0.05, order=(3, 1, 2, 0)) == [
        False,
        True,
        False,
        True,
    ]


def test_fallback_hands_on_what_a_rejected_place_held_and_starts_anew_after_a_failure():
    """Shares .5, .3, .2 of .05. .02 <= .025: rejected; .039 <= .025 + .015: rejected; .051 > .05 fails."""
    text = "fallback(shares=[0.5, 0.3, 0.2])"
    assert reject(text, [0.02, 0.039, 0.051], 0.05) == [True, True, False]
    assert reject(text, [0.026, 0.039, 0.009], 0.05) == [False, False, True]  # .01 is the third place's own
    assert reject(text, [0.026, 0.014, 0.024], 0.05) == [False, True, True]  # .015 + .01 at the third
    assert reject(text, [0.026, 0.014, 0.026], 0.05) == [False, True, False]


def test_equal_shares_are_the_default_of_fallback():
    """.05 / 2 each: .024 leaves .05 for the second; in the other order .03 is asked at .025 first."""
    assert reject("fallback", [0.024, 0.03], 0.05) == [True, True]
    assert reject("fallback", [0.024, 0.03], 0.05, order=(1, 0)) == [True, False]


def test_the_parallel_gatekeeping_graph_of_bretz_and_others_2011():
    """Their section 3 at one-sided .025: H1 holds .0125 and falls (.0121), H3 then holds .0125 and falls
    (.0084), H2 then holds .0125 + .0125 < .0337, and H4 never held anything.
    """
    text = "graph([0.5, 0.5, 0, 0], [[0, 0, 1, 0], [0, 0, 0, 1], [0, 1, 0, 0], [1, 0, 0, 0]])"
    assert reject(text, [0.0121, 0.0337, 0.0084, 0.0160], 0.025) == [True, False, True, False]
    assert reject(text, [0.0121, 0.0250, 0.0084, 0.0160], 0.025) == [True, True, True, True]


def test_edges_of_a_graph_are_rewired_around_a_rejected_place():
    """1 -> 2 (1/2), 1 -> 3 (1/2), 2 -> 1. Without place 2, 1 -> 3 is (1/2 + 0) / (1 - 1/2) = 1 by Algorithm 1.

    Levels of .04: 2 holds .02 and falls, so 1 holds .02 + .02 and falls, and 3 receives all of it.
    """
    text = "graph([0.5, 0.5, 0], [[0, 0.5, 0.5], [1, 0, 0], [0, 0, 0]])"
    assert reject(text, [0.04, 0.02, 0.04], 0.04) == [True, True, True]
    assert reject(text, [0.04, 0.02, 0.041], 0.04) == [True, True, False]


def test_the_default_graph_walks_with_most_of_delta_and_insures_with_the_rest():
    """.8 of .05 walks; Holm has .01: .0025 each of four, then .01/3, .005, .01."""
    walks = [0.0425, 0.0433, 0.045, 0.05]  # .04 + .01/4, .04 + .01/3, .04 + .01/2, .04 + .01
    assert reject("graphical", walks, 0.05) == [True, True, True, True]
    assert reject("graphical", [0.0426, *walks[1:]], 0.05) == [False] * 4
    # A bad one in front: the others stand on the insurance alone, as Holm does.
    assert reject("graphical", [0.9, 0.0025, 0.0033, 0.0051], 0.05) == [False, True, True, False]


def test_a_bad_first_candidate_ends_a_fixed_sequence_but_not_fallback_or_graph():
    p_values = [0.9, *[0.0001] * 9]
    assert reject("fixed_sequence", p_values) == [False] * 10
    for text in ("fallback", "graphical", "holm"):
        assert reject(text, p_values) == [False, *[True] * 9]


def test_with_a_good_order_a_fixed_sequence_needs_no_correction_and_holm_does():
    p_values = [0.04] * 10
    assert reject("fixed_sequence", p_values) == [True] * 10
    assert reject("graphical", [0.0401] * 10) == [True] * 10
    assert reject("holm", p_values) == [False] * 10


# -- one procedure as another ---------------------------------


@given(p_values=P_VALUES, absent=st.integers(0, 3), random=ORDERS)
@settings(max_examples=120, deadline=None)
def test_the_default_graph_is_holm_when_all_is_insurance_and_a_fixed_sequence_when_nothing_is(
    p_values, absent, random
):
    order, size = shuffled(random, len(p_values)), len(p_values) + absent
    for insurance, other in ((1, "holm"), (0, "fixed_sequence")):
        mine = reject(f"graphical(insurance={insurance})", p_values, DELTA, size, order)
        assert mine == reject(other, p_values, DELTA, size, order)


def chain(count):
    return tuple(tuple(float(j == i + 1) for j in range(count)) for i in range(count))


def everywhere(count):
    return tuple(tuple(float(i != j) / max(count - 1, 1) for j in range(count)) for i in range(count))


@given(p_values=P_VALUES, random=ORDERS)
@settings(max_examples=120, deadline=None)
def test_holm_bonferroni_fixed_sequence_and_fallback_are_graphs(p_values, random):
    count, order = len(p_values), shuffled(random, len(p_values))
    even, head = (1 / count - 1e-12,) * count, (1.0, *[0.0] * (count - 1))
    nowhere = ((0.0,) * count,) * count
    graphs = {
        "holm": Graph(even, tuple(tuple(e * (1 - 1e-12) for e in row) for row in everywhere(count))),
        "bonferroni": Graph(even, nowhere),
        "fixed_sequence": Graph(head, chain(count)),
        "fallback": Graph(even, chain(count)),
    }
    for name, graph in graphs.items():
        mine = graph.reject(np.array(p_values), DELTA, count, order).tolist()
        assert mine == reject(name, p_values, DELTA, order=order), name


@given(p_values=P_VALUES, random=ORDERS)
@settings(max_examples=80, deadline=None)
def test_fallback_with_all_in_front_is_the_fixed_sequence_and_with_equal_shares_no_less_than_bonferroni(
    p_values, random
):
    order = shuffled(random, len(p_values))
    front = reject("fallback(shares=[1])", p_values, order=order)
    assert front == reject("fixed_sequence", p_values, order=order)
    equal = np.array(reject("fallback", p_values, order=order))
    assert not (np.array(reject("bonferroni", p_values)) & ~equal).any()


def test_a_graph_without_a_place_for_everybody_is_refused():
    graph = Graph((0.5, 0.5), ((0.0, 1.0), (1.0, 0.0)))
    for p_values, size in (([0.01, 0.01], 3), ([0.01], 1), ([0.01] * 3, 3)):
        with pytest.raises(ValueError, match="graph of 2 places"):
            graph.reject(np.array(p_values), 0.05, size, range(len(p_values)))


# -- closed testing ---------------------------------


def closed_test(p_values, shares):
    """Reject i if every intersection that holds i has a member j with p_j <= delta times its share there.

    ``shares(members)`` -> member -> share; sums to at most 1. Marcus, Peritz, Gabriel 1976; nothing is shortened.
    """
    everybody = range(len(p_values))
    sets = [s for size in range(1, len(p_values) + 1) for s in combinations(everybody, size)]
    held = {s: shares(s) for s in sets}
    assert all(sum(held[s].values()) <= 1 + 1e-9 for s in sets)
    passes = {s: any(p_values[j] <= DELTA * held[s][j] for j in s) for s in sets}
    return [all(passes[s] for s in sets if i in s) for i in everybody]


def fallback_shares(order):
    """Each member owns its place and those back to the next member in front of it."""

    def shares(members):
        held, waiting = {}, 0
        for row in order:
            waiting += 1
            if row in members:
                held[row], waiting = waiting / len(order), 0
        return held

    return shares


def graphical_shares(order, insurance):
    """The first member walks, all members share the insurance equally."""

    def shares(members):
        first = next(row for row in order if row in members)
        return {m: (1 - insurance) * (m == first) + insurance / len(members) for m in members}

    return shares


@given(p_values=P_VALUES, random=ORDERS)
@settings(max_examples=100, deadline=None)
def test_the_procedures_are_their_closed_tests(p_values, random):
    order = shuffled(random, len(p_values))
    expected = {
        "fixed_sequence": graphical_shares(order, 0),
        "graphical(insurance=0.2)": graphical_shares(order, 0.2),
        "graphical(insurance=0.7)": graphical_shares(order, 0.7),
        "holm": graphical_shares(order, 1),
        "fallback": fallback_shares(order),
    }
    for text, shares in expected.items():
        assert reject(text, p_values, order=order) == closed_test(p_values, shares), text


@given(p_values=st.lists(st.floats(0, 0.08), min_size=4, max_size=4), seed=st.integers(0, 300))
@settings(max_examples=100, deadline=None)
def test_any_graph_is_its_closed_test(p_values, seed):
    """Shares of an intersection by linear algebra: w_J + w_F (I - G_FF)^-1 G_FJ for the others F.

    That is where levels end up that walk along the edges until they meet a member of J.
    """
    random = np.random.default_rng(seed)
    weights, edges = random.dirichlet(np.ones(4)) * 0.999, random.dirichlet(np.ones(4), 4) * 0.999
    np.fill_diagonal(edges, 0.0)

    def shares(members):
        others = [i for i in range(4) if i not in members]
        walked = np.linalg.solve((np.eye(len(others)) - edges[np.ix_(others, others)]).T, weights[others])
        ends = weights[list(members)] + walked @ edges[np.ix_(others, members)]
        return dict(zip(members, ends.tolist(), strict=True))

    graph = Graph(tuple(weights.tolist()), tuple(map(tuple, edges.tolist())))
    rejected = graph.reject(np.array(p_values), DELTA, 4, range(4)).tolist()
    assert rejected == closed_test(p_values, shares)


# -- members that are not in the table ---------------------------------


@pytest.mark.parametrize("text", ["fixed_sequence", "fallback(shares=[1])", "graphical(insurance=0)"])
def test_a_walk_past_two_members_that_are_missing_has_a_third_of_delta(text):
    """.05 / 3 = .01667: a missing one may have been dropped because it would have ended the walk."""
    assert reject(text, [0.0166, 0.0167], 0.05, size=4) == [True, False]
    assert reject(text, [0.0166, 0.0167], 0.05, size=2) == [True, True]


def test_the_insurance_is_shared_with_members_that_are_missing():
    """.01 of .05 is insurance: .0025 each of four, although two are in the table."""
    assert reject("graphical", [0.9, 0.0025], 0.05, size=4) == [False, True]
    assert reject("graphical", [0.9, 0.0026], 0.05, size=4) == [False, False]
