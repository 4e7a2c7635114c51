"""The extension, and the numbers that its C code and the Python code share."""

from __future__ import annotations

from typing import Any

try:
    from mongosluice import _native
except ImportError:  # not built: use Python
    native: Any = None
else:
    native = _native


def shared(prefix: str, *names: str) -> tuple[int, ...]:
    """The values of native.h's enums. Without the extension, distinct numbers of one bit each."""
    if native is None:
        return tuple(1 << position for position in range(len(names)))
    return tuple(getattr(native, prefix + name) for name in names)
