"""What the commands do, as Python functions: one file each."""
