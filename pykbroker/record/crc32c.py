"""CRC-32C of batches and snapshots: the C function of the package crc32c, without the package (Crc32C).

The package asks importlib.metadata for its own version when it is imported; the modules of email, zipfile and others
that this takes are a tenth of our start and 2 MB of memory.
"""

from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import module_from_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crc32c import crc32c as crc32c


def _extension() -> Any:
    """The module that has the function; the package itself, should it be built in another way one day."""
    package = PathFinder.find_spec("crc32c")
    inside: ModuleSpec | None = None
    if package is not None:
        inside = PathFinder.find_spec("crc32c._crc32c", package.submodule_search_locations)
    if inside is None or inside.loader is None:
        import crc32c as package_itself

        return package_itself
    module = module_from_spec(inside)
    inside.loader.exec_module(module)
    return module


if not TYPE_CHECKING:
    crc32c = _extension().crc32c
