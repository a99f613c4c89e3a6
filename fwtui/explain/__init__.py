"""Takes a gap apart by experiments: one factor changed at a time, in turns, against the unchanged lane.

`factors`, `plan`, `effects` and `answer` are pure; `experiment` and `engine` run things.
"""
