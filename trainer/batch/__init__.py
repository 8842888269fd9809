"""Many captures, one after the other or side by side.

captures.py finds them, work.py is what the process of one does, queue.py hands them out and knows
how each stands, pool.py is this machine as an executor (trainer/cluster is Ray's), table.py is
the file that says how all of it went.
"""
