"""Depth beside the images: subscriptions, and depth images matched to processed images."""
