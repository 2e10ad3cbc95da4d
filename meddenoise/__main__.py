"""``python -m meddenoise``."""

from meddenoise.cli import main

main()
