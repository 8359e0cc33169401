"""What a finished run writes: a bag, data sets, a video and a contact sheet of its masklets. Needs no ROS."""
