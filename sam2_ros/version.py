"""The version of this package."""

from __future__ import annotations

import os

PACKAGE = "sam2_ros"


def version() -> str:
    """The version of this package, also in a colcon workspace, where pip knows nothing of it."""
    from importlib import metadata  # it takes time

    try:
        return metadata.version(PACKAGE)
    except metadata.PackageNotFoundError:
        from xml.etree import ElementTree

        from ament_index_python import get_package_share_directory

        package = os.path.join(get_package_share_directory(PACKAGE), "package.xml")
        return ElementTree.parse(package).getroot().findtext("version") or "unknown"
