"""The code that the notebooks of *Transfer Learning, hands on* share.

Read it in this order:

1. `training`: the loops, and what they refuse
2. `metrics`: what they find
3. `models`: the network with a new head, freezing, and how much of it to train
4. `data`: from pictures to batches
5. `features`: a frozen backbone, run once
6. `recipe`: the training runs that chapters and tables share
7. `plots`: pictures, predictions and curves
8. `assets`: which files all of it works on
9. `runtime`: the device, the random numbers, progress and whole files
10. `checkpoint`: training runs that go on after a break

Two wings to skip at first: `explorers`, what moves on a page, and `pictures`, from files to pixels.
"""
