"""The code that the notebooks of *Transfer Learning, hands on* share.

Read it in this order:

1. `training`: the loops
2. `metrics`: what they find
3. `models`: the network with a new head, and what freezing means
4. `data`: from pictures to batches
5. `features`: a frozen backbone, asked once
6. `plots`: pictures, predictions and curves
7. `runtime`: the device and the seeds
8. `assets`: which files all of it works on
9. `checkpoints`: files that are whole, and trainings that go on after a break

`pictures` is a wing to skip at first: from files to pixels, and which picture is for what.
"""
