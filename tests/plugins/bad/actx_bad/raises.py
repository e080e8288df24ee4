raise OSError("no room left")
