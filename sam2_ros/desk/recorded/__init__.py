"""The desk over a recording: the page of its annotation project."""
