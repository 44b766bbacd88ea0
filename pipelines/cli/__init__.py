"""The ``daybreak`` command: thin faces over the functions of the other packages, one file per command or family.

- ``main``     the command itself, and run, sync, status, ui
- ``explain``  what every command shares: exit codes, and errors told as text
- ``output``   tables, bars and spinners

Files of one name with a package (``catalog``, ``doctor``, ``shop`` …) are the face of that package.
"""
