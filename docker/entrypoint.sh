#!/bin/bash
# Sources ROS and this package, and runs a command in them.
set -e
source "/opt/ros/${ROS_DISTRO}/setup.bash"
source /ws/install/setup.bash
# Without our profile, Fast DDS loses most images of 640x480 and more. A profile of the user takes precedence.
profile=/ws/install/sam2_ros/share/sam2_ros/config/fastdds.xml
export FASTRTPS_DEFAULT_PROFILES_FILE="${FASTRTPS_DEFAULT_PROFILES_FILE:-$profile}"
export FASTDDS_DEFAULT_PROFILES_FILE="${FASTDDS_DEFAULT_PROFILES_FILE:-$FASTRTPS_DEFAULT_PROFILES_FILE}"
exec "$@"
