"""The code that the notebooks of *Transfer Learning, hands on* share.

Read it in this order: `training` (the loops), `models` (the network, freezing), `data` (pictures to
batches), `plots` (batches to figures), `assets` (which files all of it works on).
"""
