"""From files to pictures in memory: what `helpers.data` builds its loaders from.

1. `dataset`: pictures in memory
2. `folders`: which files are pictures, and of which class
3. `decode`: from a file to pixels
4. `splits`: which picture is for what
5. `cifar10`: its archive, and the rendered sheets
"""
