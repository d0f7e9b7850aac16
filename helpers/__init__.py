"""The code that the notebooks of *Transfer Learning, hands on* share.

Read it in this order:

1. `training`: the loops
2. `checks`: what they refuse, and in which words
3. `metrics`: what they find
4. `models`: the network with a new head, and what freezing means
5. `data`: from pictures to batches
6. `features`: a frozen backbone, asked once
7. `ladder`: how much of a network to train
8. `recipe`: the training runs that chapters and tables share
9. `plots`: pictures, predictions and curves
10. `runtime`: the device and the random numbers
11. `assets`: which files all of it works on
12. `checkpoints`: files that are whole, and training runs that go on after a break

`pictures` is a wing to skip at first: from files to pixels, and which picture is for what.
"""
