"""From files to pictures in memory: what `helpers.data` builds its loaders from.

1. `dataset`: pictures in memory, and how CIFAR-10 gets there
2. `folders`: which files are pictures, and of which class
3. `decode`: from a file to pixels
4. `splits`: which picture is for what
"""
