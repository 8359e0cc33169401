"""Recordings with masklets: a bag, a video or a folder of images in; masklets of its objects out. Needs no ROS."""
