"""From a cable to a pair of recordings: the test signal, JACK, and the take that is kept.

playing signal: what is sent | tape levels: what happens to it | jack_process: the JACK client |
recorder take: runs it; aligns, judges and keeps
"""
