"""The actions of `sam2_ros annotate`: their options, and what each does."""
