"""The doctor: what is wrong with a pair of recordings, and what can be repaired in memory.

examine: the checks in their order | files levels timing memory: what they measure |
finding report: a finding; text and JSON | treatment: what training does with it all
"""
