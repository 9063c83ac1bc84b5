"""Monte-Carlo proof: how often a bound misses, how often a procedure lists what it must not.

A guarantee that was never simulated is a hope, and a harness that never failed proves nothing: the same
study must catch procedures known to be invalid. ``study.validate`` runs it, ``parts`` holds the promises,
``invalid`` the procedures that must be caught.
"""
