"""From files to pictures in memory: `dataset`, `folders`, `decode`, and `splits`, in this order."""
