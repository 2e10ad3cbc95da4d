"""``meddenoise methods``."""

from __future__ import annotations

import json

from meddenoise.cli.options import Json

__all__ = ["methods"]


def methods(as_json: Json = False) -> None:
    """List what --method of denoise can be, each with its options and their defaults."""
    from meddenoise.workflows.methods import list_methods

    listed = list_methods()
    if as_json:
        print(json.dumps([method.as_dict() for method in listed], indent=2))
        return
    width = max(len(method.name) for method in listed)
    for method in listed:
        print(f"{method.name:<{width}}  {method.summary}")
        if method.options:
            settings = ", ".join(_setting(*option) for option in method.options.items())
            print(f"{'':<{width}}  {settings}")
    print("\nOptions are set by --set KEY=VALUE; 'auto' is chosen from the image.")


def _setting(name: str, default: object) -> str:
    return f"{name}={'auto' if default is None else default}"
