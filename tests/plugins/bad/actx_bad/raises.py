from actx_bad import imports

imports.append(__name__)
raise OSError("no room left")
