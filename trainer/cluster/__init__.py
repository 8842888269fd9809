"""Ray: captures and sweeps on the machines of a cluster.  Nothing else imports it.

Recordings (of a batch; a sweep ships its one pair) and checkpoints are read and written where they
lie, so every machine must see the same folders under the same paths (a shared file system), and
have the same ampd[train,cluster].  What a machine sees is compared with the hashes of what was
queued.

connection: joining a cluster | pool: captures on it | search: Tune's ASHA
"""
