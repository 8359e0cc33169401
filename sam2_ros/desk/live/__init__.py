"""The desk over the cameras of a robot, through ROS."""
