"""What a tracker is worth, in numbers and pictures."""
