"""`python -m sam2_ros`: the same as `sam2_ros`."""

import sys

from sam2_ros.commands.main import main

if __name__ == "__main__":
    sys.exit(main())
