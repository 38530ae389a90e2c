"""What `python -m interactions.export` writes, a file for each kind of tool that reads it."""
