"""What boxes of a detector mean for tracked objects: which are new, which have drifted, which are back."""
