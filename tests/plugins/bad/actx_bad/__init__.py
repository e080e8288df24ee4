imports = []  # of modules that fail
