"""Hostile and clumsy input, drawn from a seed: a few of each kind with the tests, as many as you like by hand.

    python -m tests.faults checkpoints --count 3000 --seed 1

Each ``test_KIND.py`` here has a function ``run(count, seed, folder)``: it makes ``count`` cases from the seed, writes
into ``folder``, returns one line of what happened and raises AssertionError, naming the case, at the first fault.
"""
