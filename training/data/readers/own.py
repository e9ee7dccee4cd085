"""Finds the data sets of this folder that are made from the set's folder alone.

Such a reader is a file here whose class names its ``kind``: nothing else has to list it.
"""

from __future__ import annotations

import functools
import pkgutil
from importlib import import_module

from .. import readers
from .base import Reader


@functools.cache
def own_readers() -> dict[str, type[Reader]]:
    """The readers of this folder that name a ``kind``, by it, in alphabetical order."""
    modules = [
        import_module(f"{readers.__name__}.{module.name}")
        for module in pkgutil.iter_modules(readers.__path__)
    ]
    found = {
        one.kind: one
        for module in modules
        for one in vars(module).values()
        if isinstance(one, type) and issubclass(one, Reader) and one.kind
    }
    return dict(sorted(found.items()))
