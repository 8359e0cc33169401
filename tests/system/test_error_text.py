from __future__ import annotations

import errno

import pytest

from sam2_ros.system.error_text import one_line


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "a.mp4"), "a.mp4: No such file or directory"),
        (OSError(errno.ENOSPC, "No space left on device"), "[Errno 28] No space left on device"),
        (ValueError("two\n  lines"), "two lines"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_one_line(error: BaseException, line: str) -> None:
    assert one_line(error) == line
